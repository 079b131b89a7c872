/* command.c - from a typed line to a verb. */
#include "tui/command.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "tui/edit.h"
#include "tui/keys.h"

enum { MAX_COUNT = 99999 };

static int parse_count(const char *text, const char *usage, int *out, err *e) {
    char *end = NULL;
    long n = strtol(text, &end, 10);
    if (end == text || *end || n < 0 || n > MAX_COUNT)
        return err_set(e, ERR_BAD_ARGUMENT, "'%.60s', expected: %s (a number of 0..%d)", text, usage,
                       MAX_COUNT);
    *out = (int)n;
    return 0;
}

/* Commands of every workbench ------------------------------------------ */

static int go_to(app *a, const char *rest, unsigned *flags, err *e) {
    int n = 0;
    if (!*rest || !strcmp(rest, "end")) {
        *flags |= a->model ? app_run(a, 0) : app_follow(a, 0);
        return 0;
    }
    int rc = parse_count(rest, "goto N or goto end", &n, e);
    if (rc) return rc;
    const pane *p = &a->panes[a->focus];
    if (!p->live && n > pane_states(p))
        return err_set(e, ERR_BAD_ARGUMENT, "the recording ends at state %d", pane_states(p));
    *flags |= n ? app_last(a, n) : app_first(a, 0);
    return 0;
}

static int focus_pane(app *a, const char *rest, unsigned *flags, err *e) {
    int i = (*rest | 0x20) - 'a';
    if (!*rest || rest[1] || i < 0 || i >= a->n_panes)
        return err_set(e, ERR_BAD_ARGUMENT, "'%.40s', expected: focus A..%c", rest, 'A' + a->n_panes - 1);
    a->focus = i;
    *flags |= APP_REDRAW;
    return 0;
}

static int move_to(app *a, const char *rest, unsigned *flags, err *e) {
    int n = 0, rc = parse_count(rest, "position N", &n, e);
    if (rc) return rc;
    if (n >= app_positions(a))
        return err_set(e, ERR_BAD_ARGUMENT, "position %d is past the end (%d)", n, app_positions(a) - 1);
    a->cursor = n;
    *flags |= APP_REDRAW;
    return 0;
}

static int play_speed(app *a, const char *rest, unsigned *flags, err *e) {
    char *end = NULL;
    double wish = strtod(rest, &end);
    if (end == rest || *end || !(wish > 0))
        return err_set(e, ERR_BAD_ARGUMENT, "'%.40s', expected: speed N, in steps per second", rest);
    app_slower(a, MAX_COUNT);
    for (int before = -1; app_speed(a) < wish && a->speed != before;) {
        before = a->speed;
        app_faster(a, 1);
    }
    app_say(a, "%g steps per second", app_speed(a));
    *flags |= APP_REDRAW;
    return 0;
}

/* Text to the end of the line, quotes included. */
static int note_step(app *a, const char *rest, unsigned *flags, err *e) {
    pane *p = &a->panes[a->focus];
    if (!p->traj || !p->state)
        return err_set(e, ERR_BAD_ARGUMENT, "state 0 has no step to note something about; step first");
    if (p->live && !edit_park(p, e)) return e->code;
    int rc = notes_set(&a->notes, p->traj->records[p->state - 1], rest, e);
    if (rc) return rc;
    app_noted(a, p);
    app_say(a, *rest ? "noted at step %d; %s keeps it" : "no note at step %d", p->state,
            app_keeper(a, p->noted ? KEPT_BY_WRITE : KEPT_BY_RECORD));
    *flags |= APP_REDRAW;
    return 0;
}

static int find_text(app *a, const char *rest, unsigned *flags, err *e) {
    *flags |= APP_REDRAW;
    return app_search(a, rest, e);
}

static int wear_theme(app *a, const char *rest, unsigned *flags, err *e) {
    if (!*rest) return err_set(e, ERR_BAD_ARGUMENT, "expected: theme NAME|FILE");
    return app_wear_theme(a, rest, flags, e);
}

static int choose_head(app *a, const char *rest, unsigned *flags, err *e) {
    bool mean = !strcmp(rest, "mean");
    int n = -1, rc = mean ? 0 : parse_count(rest, "attention-head N or attention-head mean", &n, e);
    if (!rc) rc = app_look_at_head(a, n, e);
    *flags |= APP_REDRAW;
    return rc;
}

static int choose_layer(app *a, const char *rest, unsigned *flags, err *e) {
    int n = 0, rc = parse_count(rest, "attention-layer N", &n, e);
    if (!rc) rc = app_look_at_layer(a, n, e);
    *flags |= APP_REDRAW;
    return rc;
}

static int answer_lesson(app *a, const char *rest, unsigned *flags, err *e) {
    int n = 0,
        rc = *rest ? parse_count(rest, "lesson-answer N, or lesson-answer alone for the cursor", &n, e) : 0;
    *flags |= APP_REDRAW;
    return rc ? rc : app_lesson_answer(a, n, e);
}

/* What a name of a list stands for; -1 and the names otherwise. */
static int find_name(const char *rest, const char *(*name)(int), int n, const char *what, err *e) {
    char all[200] = "";
    for (int i = 0; i < n; i++) {
        if (!strcmp(rest, name(i))) return i;
        size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, "%s%s", used ? ", " : "", name(i));
    }
    return err_set(e, ERR_BAD_ARGUMENT, "'%.40s', expected: %s %s", rest, what, all), -1;
}

static const char *layer_at(int i) {
    static const char *const names[N_LAYERS] = {"state",     "entropy",   "tis",     "order", "confidence",
                                                "influence", "attention", "lock-in", "orders"};
    return names[i];
}

/* What a key turns on and off, a command sets. */
static int set_color(app *a, const char *rest, unsigned *flags, err *e) {
    int i = find_name(rest, layer_at, N_LAYERS, "color", e);
    *flags |= APP_REDRAW;
    if (i < 0) return e->code;
    if (i >= LAYER_INFLUENCE && i <= LAYER_LOCK_IN && !looks_possible(a)) return looks_refuse(e);
    a->layer = (layer)i;
    a->looks.given_up = 0;
    app_say(a, "colouring: %s", layer_name(a->layer));
    return 0;
}

static int set_detail(app *a, const char *rest, unsigned *flags, err *e) {
    *flags |= APP_REDRAW;
    if (!*rest) return *flags |= app_next_tab(a, 0), 0;
    int i = find_name(rest, tab_name, N_TABS, "detail", e);
    if (i < 0) return e->code;
    if (i >= TAB_INFLUENCE && i <= TAB_LOCK_IN && !looks_possible(a)) return looks_refuse(e);
    a->tab = (detail_tab)i;
    a->looks.given_up = 0;
    return 0;
}

static int mark_letter(const char *rest, int *out, err *e) {
    if (*rest < 'a' || *rest > 'z' || rest[1])
        return err_set(e, ERR_BAD_ARGUMENT, "'%.40s', expected a letter of a to z", rest);
    *out = *rest - 'a' + 1;
    return 0;
}

static int set_mark(app *a, const char *rest, unsigned *flags, err *e) {
    int letter = 0, rc = mark_letter(rest, &letter, e);
    if (!rc) *flags |= app_mark(a, letter);
    return rc;
}

static int go_mark(app *a, const char *rest, unsigned *flags, err *e) {
    int letter = 0, rc = mark_letter(rest, &letter, e);
    if (rc) return rc;
    *flags |= app_mark_go(a, letter);
    return a->warning ? err_set(e, ERR_NOT_FOUND, "%s", a->message) : 0;
}

static int add_pane(app *a, const char *rest, unsigned *flags, err *e) {
    const policy *p = *rest ? policy_find(rest) : NULL;
    *flags |= APP_REDRAW;
    if (*rest && !p) return err_set(e, ERR_NOT_FOUND, "'%.40s', expected one of %s", rest, policy_names());
    return app_add_pane(a, p, e);
}

const app_command app_commands[] = {
    {"goto", "goto N | goto end", "a state; the end of a live decode is computed", false, WORDS_NONE, go_to},
    {"position", "position N", "move the cursor", false, WORDS_NONE, move_to},
    {"focus", "focus A..D", "verbs go to this pane", false, WORDS_NONE, focus_pane},
    {"speed", "speed N", "steps per second of playing", false, WORDS_NONE, play_speed},
    {"search", "search QUERY", "as / does", false, WORDS_NONE, find_text},
    {"theme", "theme NAME|FILE", "wear a theme", false, WORDS_THEMES, wear_theme},
    {"mark", "mark a..z", "mark this state and position", false, WORDS_NONE, set_mark},
    {"mark-go", "mark-go a..z", "go to a mark", false, WORDS_NONE, go_mark},
    {"note", "note TEXT", "words about the step shown", false, WORDS_NONE, note_step},
    {"color", "color NAME", "colour by state, entropy, tis ... whatever was on", false, WORDS_LAYERS,
     set_color},
    {"detail", "detail [NAME]", "the next detail, or the one named", false, WORDS_TABS, set_detail},
    {"lesson-answer", "lesson-answer [N]", "answer a lesson's question", false, WORDS_NONE, answer_lesson},
    {"attention-layer", "attention-layer N", "where the cursor looks, layers from 0", false, WORDS_NONE,
     choose_layer},
    {"attention-head", "attention-head N | attention-head mean", "whose attention is shown", false,
     WORDS_NONE, choose_head},
    {"pane-add", "pane-add [POLICY]", "one more pane from the same start", true, WORDS_POLICIES, add_pane},
    {"policy", "policy NAME", "from the state shown on", true, WORDS_POLICIES, command_policy},
    {"set", "set PARAMETER VALUE", "from the state shown on", true, WORDS_PARAMS, command_set},
    {"branch", "branch [NAME]", "go to a branch, or open one here", false, WORDS_BRANCHES, command_branch},
    {"branch-name", "branch-name NAME", "name the branch in use", true, WORDS_NONE, command_branch_name},
    {"seed", "seed N", "restart with another seed", true, WORDS_NONE, command_seed},
    {"prompt", "prompt TEXT", "restart with another prompt", true, WORDS_NONE, command_prompt},
    {"open", "open FILE...", "show recordings or a file of branches", false, WORDS_FILES, command_open},
    {"record", "record [PREFIX]", "write all panes' recordings", false, WORDS_FILES, command_record},
    {"write", "write FILE", "write the recording that the pane shows", false, WORDS_FILES, command_write},
    {"export", "export FORMAT FILE", "write a document", false, WORDS_FORMATS, command_export},
    {"source", "source FILE", "run the commands of a file", false, WORDS_FILES, command_source},
    {0},
};

/* Finding ------------------------------------------------------------- */

/* A command of either table. */
typedef struct found {
    const app_command *c;
    const binding *b;
} found;

static const char *name_at(int i, found *f) {
    int n = 0;
    for (; app_commands[n].name; n++) {
        if (i == n) {
            *f = (found){.c = &app_commands[i]};
            return f->c->name;
        }
    }
    i -= n;
    if (i >= n_bindings) return NULL;
    *f = (found){.b = &bindings[i]};
    return f->b->command;
}

/* By name, or by the beginning of a single one. A name of both tables means the first. */
static int find_command(const char *name, found *out, err *e) {
    size_t len = strlen(name);
    int hits = 0;
    char several[160] = "";
    const char *last = "";
    found f;
    for (int i = 0; name_at(i, &f); i++) {
        const char *full = f.c ? f.c->name : f.b->command;
        if (strncmp(full, name, len) || !strcmp(full, last)) continue;
        if (!full[len]) {
            *out = f;
            return 0;
        }
        bool twin = false; /* the same name stands in the other table, earlier */
        for (int k = 0; f.b && app_commands[k].name; k++) twin |= !strcmp(app_commands[k].name, full);
        if (twin) continue;
        if (!hits++) *out = f;
        last = full;
        size_t used = strlen(several);
        snprintf(several + used, sizeof several - used, "%s%s", used ? ", " : "", full);
    }
    if (hits == 1) return 0;
    if (hits) return err_set(e, ERR_BAD_ARGUMENT, "'%.40s' may be %s", name, several);
    return err_set(e, ERR_BAD_ARGUMENT, "no command '%.40s'; Tab lists them, ? shows the keys", name);
}

bool command_known(const char *name) {
    found f;
    err e = {0};
    return !find_command(name, &f, &e) && !strcmp(f.c ? f.c->name : f.b->command, name);
}

/* Running ------------------------------------------------------------- */

static int run_binding(app *a, const binding *b, const char *rest, unsigned *flags, err *e) {
    int count = 0;
    if (*rest) {
        int rc = parse_count(rest, b->command, &count, e);
        if (rc) return rc;
    }
    *flags |= b->run(a, count) | APP_REDRAW;
    return a->warning ? err_set(e, ERR_BAD_ARGUMENT, "%s", a->message) : 0;
}

static int run_found(app *a, const found *f, const char *rest, unsigned *flags, err *e) {
    if (f->b) return run_binding(a, f->b, rest, flags, e);
    if (f->c->live && !a->model)
        return err_set(e, ERR_BAD_ARGUMENT, "a recording is not changed: open a model for this");
    return f->c->run(a, rest, flags, e);
}

/* "name rest" with blanks around; the copy lies in buf. */
static void part(char *buf, const char **name, const char **rest) {
    size_t n = strlen(buf);
    while (n && strchr(" \t\r", buf[n - 1])) buf[--n] = '\0';
    char *s = buf + strspn(buf, " \t:");
    size_t len = strcspn(s, " \t");
    *name = s;
    *rest = s[len] ? s + len + 1 + strspn(s + len + 1, " \t") : s + len;
    s[len] = '\0';
}

/* "quit!" is quit that does not ask. */
static bool take_force(char *buf, const char *name) {
    size_t n = strlen(name);
    if (n < 2 || name[n - 1] != '!') return false;
    buf[(size_t)(name - buf) + n - 1] = '\0';
    return true;
}

static bool can_force(const found *f) {
    if (f->c) return f->c->run == command_open;
    return f->b->run == app_quit || f->b->run == app_pane_close;
}

int command_run(app *a, const char *line, unsigned *flags, err *e) {
    char buf[COMMAND_MAX_BYTES];
    const char *name, *rest;
    found f;
    a->message[0] = '\0';
    a->warning = false;
    *flags |= APP_REDRAW;
    if (snprintf(buf, sizeof buf, "%s", line) >= (int)sizeof buf)
        return err_set(e, ERR_BAD_ARGUMENT, "a command of more than %d bytes", COMMAND_MAX_BYTES - 1);
    part(buf, &name, &rest);
    if (!*name || *name == '#') return 0;
    if (!name[strspn(name, "0123456789")] && !*rest) return go_to(a, name, flags, e);
    bool forced = take_force(buf, name);
    int rc = find_command(name, &f, e);
    if (!rc && forced && !can_force(&f))
        rc = err_set(e, ERR_BAD_ARGUMENT, "%s takes no '!'", f.c ? f.c->name : f.b->command);
    if (rc) return rc;
    a->forced = forced;
    rc = run_found(a, &f, rest, flags, e);
    a->forced = false;
    if (rc && !a->warning) err_prefix(e, "%s", f.c ? f.c->name : f.b->command);
    return rc;
}

/* Completing ---------------------------------------------------------- */

static int offer(char **out, int n, int max, const char *text, const char *word) {
    if (n >= max || strncmp(text, word, strlen(word))) return n;
    for (int i = 0; i < n; i++) {
        if (!strcmp(out[i], text)) return n;
    }
    out[n] = mem_copy(text, strlen(text) + 1, 1);
    return out[n] ? n + 1 : n;
}

static int offer_names(const char *word, char **out, int max) {
    found f;
    int n = 0;
    for (int i = 0; name_at(i, &f); i++) n = offer(out, n, max, f.c ? f.c->name : f.b->command, word);
    return n;
}

static int offer_params(const app *a, const char *param, const char *word, char **out, int max) {
    const param_set *ps = &a->panes[a->focus].params;
    int n = 0, k = *param ? param_find(ps, param) : -1;
    for (int i = 0; !*param && i < ps->n; i++) n = offer(out, n, max, ps->defs[i]->name, word);
    if (k < 0) return n;
    for (int i = 0; ps->defs[k]->type == PARAM_CHOICE && ps->defs[k]->choices[i]; i++)
        n = offer(out, n, max, ps->defs[k]->choices[i], word);
    if (ps->defs[k]->type != PARAM_BOOL) return n;
    n = offer(out, n, max, "on", word);
    return offer(out, n, max, "off", word);
}

static int offer_words(const app *a, command_words kind, const char *rest, const char *word, char **out,
                       int max, bool *files) {
    int n = 0;
    *files = kind == WORDS_FILES || kind == WORDS_THEMES || (kind == WORDS_FORMATS && *rest);
    const tree *t = &a->panes[a->focus].tree;
    if (kind == WORDS_PARAMS && a->model) return offer_params(a, rest, word, out, max);
    for (int i = 0; kind == WORDS_POLICIES && policies[i]; i++)
        n = offer(out, n, max, policies[i]->name, word);
    const char *named;
    for (int i = 0; kind == WORDS_THEMES && !*rest && (named = app_theme_name(a, i)); i++)
        n = offer(out, n, max, named, word);
    for (int i = 0; kind == WORDS_LAYERS && i < N_LAYERS; i++) n = offer(out, n, max, layer_at(i), word);
    for (int i = 0; kind == WORDS_TABS && i < N_TABS; i++) n = offer(out, n, max, tab_name(i), word);
    for (int i = 0; kind == WORDS_BRANCHES && !*rest && i < t->n; i++)
        n = offer(out, n, max, t->nodes[i].name, word);
    for (int i = 0; kind == WORDS_FORMATS && !*rest && export_formats[i].name; i++)
        n = offer(out, n, max, export_formats[i].name, word);
    return n;
}

int command_complete(const app *a, const char *before, const char *word, char **out, int max, bool *files) {
    char buf[COMMAND_MAX_BYTES];
    const char *name, *rest;
    found f;
    err e = {0};
    *files = false;
    snprintf(buf, sizeof buf, "%s", before);
    part(buf, &name, &rest);
    if (!*name) return offer_names(word, out, max);
    if (find_command(name, &f, &e) || !f.c) return 0;
    return offer_words(a, f.c->words, rest, word, out, max, files);
}
