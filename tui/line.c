/* line.c - the only file that knows readline. Its callback interface is fed one byte at a time, and it never
 * touches the terminal: its output goes to /dev/null and its redisplay copies the line. */
#include "tui/line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <readline/history.h>
#include <readline/readline.h>

#include "engine/base/mem.h"
#include "tui/command.h"
#include "tui/files.h"
#include "tui/keys.h"

enum { MAX_LIST = 1 << 20 };

static struct {
    bool ready, keeps;
    app *a; /* whose line is edited; set during line_open and line_key */
    unsigned flags;
    unsigned char queue[8];
    int head, tail;
    HISTORY_STATE *history[N_LINES];
    strbuf list; /* what Tab found, a name a line */
    size_t next; /* where the part begins that the next Tab shows */
} rl;

/* Bytes in ------------------------------------------------------------- */

static int next_byte(FILE *in) {
    (void)in;
    return rl.head < rl.tail ? rl.queue[rl.head++] : EOF;
}

static int byte_waits(void) {
    return rl.head < rl.tail;
}

static void feed(const char *bytes, int n) {
    rl.head = rl.tail = 0;
    for (int i = 0; i < n; i++) rl.queue[rl.tail++] = (unsigned char)bytes[i];
    while (rl.head < rl.tail && rl.a->line.open) rl_callback_read_char();
}

/* What it holds, out --------------------------------------------------- */

static void copy_line(void) {
    typed_line *l = &rl.a->line;
    snprintf(l->prompt, sizeof l->prompt, "%s", rl_display_prompt ? rl_display_prompt : "");
    snprintf(l->text, sizeof l->text, "%s", rl_line_buffer ? rl_line_buffer : "");
    l->point = rl_point < (int)strlen(l->text) ? rl_point : (int)strlen(l->text);
}

/* The names from rl.next on that fit into the row, at least one. Behind the last part comes the first. */
static void show_part(typed_line *l) {
    const char *from = rl.list.data + rl.next, *at = from, more[] = "   Tab: more";
    int room = rl.a->lay.hints.w - 1 - (int)strlen(more);
    strbuf row, name;
    strbuf_init(&row, sizeof l->matches - sizeof more);
    strbuf_init(&name, sizeof l->matches);
    while (*at) {
        size_t n = strcspn(at, "\n");
        strbuf_clear(&name);
        strbuf_printf(&name, "%s%.*s", row.len ? "  " : "", (int)n, at);
        if (row.len && cells_measure(row.data) + cells_measure(name.data) > room) break;
        strbuf_puts(&row, name.data);
        at += n + (at[n] == '\n');
    }
    bool whole = !rl.next && !*at;
    rl.next = *at ? (size_t)(at - rl.list.data) : 0;
    snprintf(l->matches, sizeof l->matches, "%s%s", row.data, whole ? "" : more);
    strbuf_release(&row);
    strbuf_release(&name);
}

static void show_matches(char **matches, int n, int longest) {
    (void)longest;
    strbuf_clear(&rl.list);
    rl.next = 0;
    for (int i = 1; i <= n; i++) {
        const char *slash = strrchr(matches[i], '/');
        strbuf_printf(&rl.list, "%s\n", slash && slash[1] ? slash + 1 : matches[i]);
    }
    show_part(&rl.a->line);
}

/* Completion ----------------------------------------------------------- */

static char **complete(const char *word, int start, int end) {
    (void)end;
    char *found[LINE_MAX_MATCHES], *before = strndup(rl_line_buffer, (size_t)start);
    bool files = false;
    rl_attempted_completion_over = 1;
    if (!before || rl.a->line.kind != LINE_COMMAND) {
        free(before);
        return NULL;
    }
    int n = command_complete(rl.a, before, word, found, LINE_MAX_MATCHES, &files);
    free(before);
    rl_attempted_completion_over = !files;
    if (!n) return NULL;
    char **out = calloc((size_t)n + 2, sizeof *out);
    size_t common = strlen(found[0]);
    for (int i = 0; i < n; i++) {
        size_t k = 0;
        while (k < common && found[i][k] == found[0][k]) k++;
        common = k;
        if (out) out[n == 1 ? 0 : i + 1] = found[i];
    }
    for (int i = 0; !out && i < n; i++) free(found[i]);
    if (out && n > 1) out[0] = strndup(found[0], common);
    if (out && !out[0]) {
        for (int i = 0; i < n; i++) free(out[i + 1]);
        free(out);
        out = NULL;
    }
    return out;
}

/* Histories ------------------------------------------------------------ */

static const char *const history_names[N_LINES] = {"commands", "searches"};

static HISTORY_STATE empty;

static void use_history(line_kind kind) {
    history_set_history_state(rl.history[kind] ? rl.history[kind] : &empty);
    if (rl.history[kind]) {
        using_history();
        return;
    }
    char path[4096];
    using_history();
    if (rl.keeps && !state_file(path, sizeof path, history_names[kind], false)) {
        read_history(path);
        using_history();
    }
    stifle_history(LINE_HISTORY);
}

static void leave_history(line_kind kind) {
    free(rl.history[kind]);
    rl.history[kind] = history_get_history_state();
}

static void remember(const char *text) {
    HIST_ENTRY *last = history_length ? history_get(history_base + history_length - 1) : NULL;
    if (*text && !(last && !strcmp(last->line, text))) add_history(text);
}

/* Forgets what is in use, with the list that readline keeps: of two histories it keeps only one in sight.
 * clear_history would lose what undoes the changes to entries that were left again. */
static void drop_history(void) {
    rl_clear_history();
    history_base = 1;
    HISTORY_STATE *s = history_get_history_state();
    history_set_history_state(&empty);
    if (s) free(s->entries);
    free(s);
}

void line_keep_history(void) {
    rl.keeps = true;
}

static void close_line(void) {
    typed_line *l = &rl.a->line;
    rl_callback_handler_remove();
    leave_history(l->kind);
    strbuf_release(&rl.list);
    l->open = false;
    l->matches[0] = '\0';
}

/* Out of a search or a key sequence, too: what stays would crash the next line. */
static void give_up(void) {
    rl_callback_sigcleanup();
    rl_free_line_state();
    close_line();
}

void line_end(void) {
    if (rl.a && rl.a->line.open)
        give_up(); /* a search would go on in the next line, over entries that are gone */
    for (int i = 0; i < N_LINES; i++) {
        char path[4096];
        if (!rl.history[i]) continue;
        history_set_history_state(rl.history[i]);
        if (rl.keeps && !state_file(path, sizeof path, history_names[i], true)) {
            mode_t mask = umask(077);
            write_history(path);
            umask(mask);
            chmod(path, 0600);
        }
        drop_history();
        free(rl.history[i]);
        rl.history[i] = NULL;
    }
}

/* Opening and closing -------------------------------------------------- */

static void run_line(const char *text, line_kind kind) {
    app *a = rl.a;
    err e = {0};
    int rc = 0;
    if (kind == LINE_SEARCH && *text) {
        a->message[0] = '\0';
        a->warning = false;
        rc = app_search(a, text, &e);
    }
    if (kind == LINE_COMMAND) rc = command_run(a, text, &rl.flags, &e);
    if (rc) app_complain(a, "%s", e.msg);
}

static void on_line(char *text) {
    line_kind kind = rl.a->line.kind;
    if (text) remember(text);
    close_line();
    if (text) run_line(text, kind);
    free(text);
}

/* Everything that would let readline touch the terminal, its modes, signals or the environment is off. */
static void prepare(void) {
    if (rl.ready) return;
    rl.ready = true;
    rl_catch_signals = 0;
    rl_catch_sigwinch = 0;
    rl_change_environment = 0;
    rl_prep_term_function = NULL;
    rl_deprep_term_function = NULL;
    rl_instream = stdin;
    rl_outstream = fopen("/dev/null", "we");
    rl_readline_name = "tabes";
    rl_getc_function = next_byte;
    rl_input_available_hook = byte_waits;
    rl_redisplay_function = copy_line;
    rl_attempted_completion_function = complete;
    rl_completion_display_matches_hook = show_matches;
    rl_completer_word_break_characters = " \t";
    rl_initialize();
    rl_variable_bind("bell-style", "none");
    rl_variable_bind("completion-query-items", "0");
    rl_variable_bind("page-completions", "off");
    rl_variable_bind("show-all-if-ambiguous", "on");
    rl_variable_bind("enable-bracketed-paste", "off");
    rl_variable_bind("blink-matching-paren", "off");
}

void line_open(app *a, line_kind kind) {
    prepare();
    rl.a = a;
    a->line = (typed_line){.open = true, .kind = kind};
    strbuf_init(&rl.list, MAX_LIST);
    use_history(kind);
    rl_callback_handler_install(kind == LINE_COMMAND ? ":" : "/", on_line);
    copy_line();
}

/* Keys ----------------------------------------------------------------- */

/* The control character that edits as the key does; 0 for keys without one. */
static int control_of(int key) {
    switch (key) {
    case TUI_KEY_UP:
        return KEY_CTRL('p');
    case TUI_KEY_DOWN:
        return KEY_CTRL('n');
    case TUI_KEY_LEFT:
        return KEY_CTRL('b');
    case TUI_KEY_RIGHT:
        return KEY_CTRL('f');
    case TUI_KEY_HOME:
        return KEY_CTRL('a');
    case TUI_KEY_END:
        return KEY_CTRL('e');
    default:
        return key < TUI_KEY_FIRST ? key : 0;
    }
}

/* Beginnings of two-key sequences: one that ends an incremental search crashes readline 8.2 (Esc never gets
 * there either), and what a quoted character or a search for one has allocated is lost when the line is given
 * up in between.
 */
static bool waits_for_another(int key) {
    return key == KEY_CTRL('x') || key == KEY_CTRL('v') || key == KEY_CTRL('q') || key == KEY_CTRL(']');
}

unsigned line_key(app *a, int key) {
    char bytes[4];
    rl.a = a;
    rl.flags = APP_REDRAW;
    if (key == '\t' && a->line.matches[0]) { /* nothing was typed since: the list is the same */
        show_part(&a->line);
        return APP_REDRAW;
    }
    a->line.matches[0] = '\0';
    bool rubs_out_all = (key == 127 || key == 8) && !a->line.text[0];
    key = control_of(key);
    if (key == KEY_ESC || key == KEY_CTRL('c') || rubs_out_all) {
        give_up();
        return APP_REDRAW;
    }
    if (waits_for_another(key)) return APP_REDRAW;
    if (key == KEY_CTRL('l')) return APP_REDRAW | APP_REPAINT;
    if (key == KEY_CTRL('d') && !a->line.text[0]) return APP_REDRAW;
    if (!key || strlen(a->line.text) + sizeof bytes >= sizeof a->line.text) {
        if (key != KEY_RETURN && key != 127 && key != 8) return APP_REDRAW;
    }
    feed(bytes, utf8_encode((uint32_t)key, bytes));
    if (a->line.open) copy_line();
    return rl.flags;
}
