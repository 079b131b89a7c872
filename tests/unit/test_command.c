/* test_command.c - the command language without a terminal: words, names, searches, notes, scripts; what is
 * refused changes nothing. */
#include "checks.h"

#include <locale.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_gpu.h"
#include "tui/command.h"
#include "tui/keys.h"
#include "tui/screen.h"

enum { N = 10, SECONDS = 30 };

static const int32_t prompt[N] = {8, 2, 8, 8, 5, 8, 8, 0, 8, 8};

static void settle(app *a) {
    for (int i = 0; i < SECONDS * 10 && app_busy(a); i++) {
        poll(&(struct pollfd){.fd = worker_fd(a->worker), .events = POLLIN}, 1, 100);
        app_events(a);
    }
    CHECK(!app_busy(a));
}

static void draw(app *a, strbuf *out) {
    cells g = {0};
    err e = {0};
    MUST(cells_init(&g, 80, 24, false, &e), &e);
    MUST(screen_draw(a, &g, &e), &e);
    strbuf_init(out, 1 << 20);
    cells_dump(&g, out);
    cells_release(&g);
}

static void look_at(app *a) {
    strbuf out;
    draw(a, &out);
    strbuf_release(&out);
}

static void open_app(app *a, const model *m) {
    static const char *const names[] = {"confidence", "boe"};
    tui_opts o = {.model = m, .prompt = prompt, .n_prompt = N, .n_panes = 2};
    for (int i = 0; i < 2; i++) {
        o.panes[i] = (tui_pane){.policy = policy_find(names[i])};
        policy_defaults(o.panes[i].policy, NULL, &o.panes[i].params);
    }
    err e = {0};
    MUST(app_open(a, &o, &e), &e);
    a->pal = (palette){.mode = MODE_NONE};
    settle(a);
    look_at(a);
}

static int run(app *a, const char *text, err *e) {
    unsigned flags = 0;
    *e = (err){0};
    int rc = command_run(a, text, &flags, e);
    settle(a);
    look_at(a);
    return rc;
}

static void good(app *a, const char *text) {
    err e;
    MUST(run(a, text, &e), &e);
}

static void bad(app *a, const char *text, const char *says) {
    err e;
    int state = a->panes[0].state, cursor = a->cursor, focus = a->focus;
    const policy *p = a->panes[a->focus].policy;
    uint64_t seed = a->panes[0].seed;
    CHECK(run(a, text, &e) != 0);
    if (!strstr(e.msg, says)) fprintf(stderr, "%s: '%s' lacks '%s'\n", text, e.msg, says);
    CHECK(strstr(e.msg, says));
    CHECK(!strchr(e.msg, '\n') && !strchr(e.msg, 27));
    CHECK(a->panes[0].state == state && a->cursor == cursor && a->focus == focus);
    CHECK(a->panes[a->focus].policy == p && a->panes[0].seed == seed);
}

static void test_words(void **state) {
    (void)state;
    words w;
    err e = {0};
    MUST(words_split(&w, "  a \"b c\"d \\\"e \"x\\ny\" # rest", &e), &e);
    CHECK(w.n == 4 && !strcmp(w.at[0], "a") && !strcmp(w.at[1], "b cd"));
    CHECK(!strcmp(w.at[2], "\"e") && !strcmp(w.at[3], "x\ny"));
    CHECK(words_split(&w, "\"open", &e) == ERR_BAD_ARGUMENT);
    CHECK(words_split(&w, "1 2 3 4 5 6 7 8 9", &e) == ERR_BAD_ARGUMENT);
    MUST(words_split(&w, "", &e), &e);
    CHECK(w.n == 0);
}

/* Comments alone queue nothing; there is no array then. */
static void test_nothing_to_run(void **state) {
    (void)state;
    script s = {0};
    err e = {0};
    MUST(script_push(&s, "x", "# nothing\n \n", false, false, &e), &e);
    CHECK(!script_waits(&s));
    script_release(&s);
}

static void test_names(void **state) {
    (void)state;
    fake *f = fake_gpu_new();
    model m = {.d = &f->base};
    app a;
    open_app(&a, &m);
    good(&a, "step 3");
    CHECK(a.panes[0].state == 3 && a.panes[1].state == 3);
    good(&a, "  :1 ");
    CHECK(a.panes[0].state == 1);
    good(&a, "goto 5");
    CHECK(a.panes[0].state == 5);
    good(&a, "goto 0");
    CHECK(a.panes[0].state == 0);
    good(&a, "goto end");
    CHECK(a.panes[0].state == 7 && pane_complete(&a.panes[1]));
    good(&a, "entr");
    CHECK(a.layer == LAYER_ENTROPY);
    good(&a, "# nothing");
    good(&a, "");
    good(&a, "focus b");
    CHECK(a.focus == 1);
    good(&a, "speed 8");
    CHECK(app_speed(&a) >= 8 && app_speed(&a) <= 8);
    good(&a, "position 4");
    CHECK(a.cursor == 4);
    bad(&a, "position 10", "past the end");
    bad(&a, "step x", "expected: step");
    bad(&a, "step 3 4", "expected: step");
    bad(&a, "nosuch", "no command 'nosuch'");
    bad(&a, "policy-", "policy-next, policy-prev");
    bad(&a, "speed 0", "steps per second");
    bad(&a, "theme", "expected: theme NAME|FILE");
    bad(&a, "theme /nonexistent.theme", "/nonexistent.theme");
    bad(&a, "focus c", "focus A..B");
    bad(&a, "\033[31mred", "no command");
    for (int i = 0; i < n_bindings; i++) CHECK(bindings[i].command && !strchr(bindings[i].command, ' '));
    CHECK(app_close(&a));
    denoiser_close(&f->base);
}

/* A key whose command is hidden behind one with arguments has none, unless that one does the key's work. */
static void test_every_key(void **state) {
    (void)state;
    static const char *const same[] = {"goto", "mark", "mark-go", "record", "detail", "pane-add"};
    for (int i = 0; i < n_bindings; i++) {
        bool hidden = false;
        for (int k = 0; app_commands[k].name; k++)
            hidden |= !strcmp(app_commands[k].name, bindings[i].command);
        for (size_t k = 0; k < sizeof same / sizeof *same; k++)
            hidden &= strcmp(same[k], bindings[i].command) != 0;
        if (!CHECK(!hidden)) print_error("'%s' cannot be typed\n", bindings[i].command);
    }
}

static void test_live(void **state) {
    (void)state;
    fake *f = fake_gpu_new();
    model m = {.d = &f->base};
    app a;
    open_app(&a, &m);
    good(&a, "step 2");
    good(&a, "policy entropy");
    const trajectory *t = &a.panes[0].own; /* goes on from the state shown */
    CHECK(!strcmp(a.panes[0].policy->name, "entropy") && a.panes[0].state == 3);
    CHECK(t->records[0]->kind == STEP_DECODE && t->records[2]->kind == STEP_SETTING);
    good(&a, "set budget 2");
    good(&a, "step");
    CHECK(t->records[3]->kind == STEP_SETTING && t->records[4]->n_writes == 2);
    good(&a, "seed 42");
    CHECK(a.panes[0].seed == 42 && a.panes[1].seed == 42 && a.panes[0].state == 0);
    bad(&a, "seed -1", "whole number");
    bad(&a, "seed 99999999999999999999", "whole number");
    bad(&a, "policy nosuch", "expected one of confidence");
    bad(&a, "set budget many", "budget");
    bad(&a, "set nosuch 1", "nosuch");
    bad(&a, "set budget", "expected: set PARAMETER VALUE");
    bad(&a, "prompt hello", "tokenizer");
    bad(&a, "export nosuch /tmp/x", "no format");
    bad(&a, "write /nonexistent/x.jsonl", "/nonexistent");
    bad(&a, "export csv /nonexistent/x.csv", "/nonexistent");
    bad(&a, "source /nonexistent", "/nonexistent");
    CHECK(app_close(&a));
    denoiser_close(&f->base);
}

static void test_queries(void **state) {
    (void)state;
    query q = {0};
    err e = {0};
    MUST(query_parse(&q, "H>=3.5", &e), &e);
    CHECK(q.kind == QUERY_COMPARE && q.field == FIELD_ENTROPY && q.op == OP_MORE_EQUAL && q.value > 3.4);
    MUST(query_parse(&q, "tis<0", &e), &e);
    CHECK(q.field == FIELD_TIS && q.op == OP_LESS);
    MUST(query_parse(&q, "#12", &e), &e);
    CHECK(q.kind == QUERY_POSITION && q.number == 12);
    MUST(query_parse(&q, "\"12\"", &e), &e);
    CHECK(q.kind == QUERY_TEXT && !strcmp(q.text, "12"));
    MUST(query_parse(&q, "written@3", &e), &e);
    CHECK(q.kind == QUERY_WRITTEN && q.number == 3);
    const char *const refused[] = {"H>",         "H>x",          "p<nan", "written@",
                                   "written@-1", "#99999999999", "",      "\"\""};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        CHECK(query_parse(&q, refused[i], &e) == ERR_BAD_ARGUMENT);
        CHECK(q.kind == QUERY_WRITTEN && q.number == 3);
    }
}

static void test_search(void **state) {
    (void)state;
    fake *f = fake_gpu_new();
    model m = {.d = &f->base};
    app a;
    open_app(&a, &m);
    good(&a, "search H>-1");
    CHECK(a.find.count == 7 && !strcmp(a.message, "1 of 7"));
    keys_press(&a, 'n');
    CHECK(!strcmp(a.message, "2 of 7") && a.cursor == 2);
    keys_press(&a, 'N');
    keys_press(&a, 'N');
    CHECK(!strcmp(a.message, "7 of 7") && a.cursor == 9);
    good(&a, "step 2");
    good(&a, "search written@2");
    CHECK(a.find.count == 1 && a.panes[0].written_by[a.cursor] == 1);
    good(&a, "search #4");
    CHECK(a.cursor == 4);
    good(&a, "search #400");
    CHECK(a.cursor == 4 && strstr(a.message, "no hit"));
    good(&a, "margin");
    CHECK(strstr(a.message, "lowest margin"));
    CHECK(app_close(&a));
    denoiser_close(&f->base);
}

static void test_notes(void **state) {
    (void)state;
    char dir[] = "/tmp/tabes-test-XXXXXX", path[64], line[128];
    CHECK(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/run.jsonl", dir);
    fake *f = fake_gpu_new();
    model m = {.d = &f->base};
    app a;
    open_app(&a, &m);
    bad(&a, "note early", "state 0 has no step");
    good(&a, "goto end");
    good(&a, "goto 3");
    good(&a, "note look \033[31mhere");
    bad(&a, "note \xff\xfe", "not UTF-8");
    strbuf screen;
    draw(&a, &screen);
    CHECK(strstr(screen.data, "\u203B") && !strchr(screen.data, 27));
    strbuf_release(&screen);
    snprintf(line, sizeof line, "write \"%s\"", path);
    good(&a, line);
    replay *r = NULL;
    err e = {0};
    MUST(replay_load(&r, path, &e), &e);
    CHECK(r->traj.records[2]->note && !strcmp(r->traj.records[2]->note, "look  [31mhere"));
    CHECK(!r->traj.records[1]->note && r->traj.n_records == 7);
    replay_close(r);
    good(&a, "restart");
    good(&a, "goto 3");
    CHECK(!notes_get(&a.notes, a.panes[0].traj->records[2]));
    unlink(path);
    rmdir(dir);
    CHECK(app_close(&a));
    denoiser_close(&f->base);
}

/* All lines that wait; the first error. */
static int run_script(app *a, err *e) {
    unsigned flags = 0;
    int rc = 0;
    while (!rc && script_waits(&a->script)) {
        rc = script_step(a, &flags, e);
        settle(a);
    }
    return rc;
}

static void write_text(const char *path, const char *text) {
    FILE *f = fopen(path, "w");
    CHECK(f && fputs(text, f) >= 0 && !fclose(f));
}

static void test_scripts(void **state) {
    (void)state;
    char dir[] = "/tmp/tabes-test-XXXXXX", path[64], text[160];
    CHECK(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/a.tabes", dir);
    fake *f = fake_gpu_new();
    model m = {.d = &f->base};
    app a;
    err e = {0};
    open_app(&a, &m);
    MUST(script_push(&a.script, "--exec", "step 2; note a\\;b \"c;d\" ;; back", true, false, &e), &e);
    MUST(run_script(&a, &e), &e);
    CHECK(a.panes[0].state == 1);
    CHECK(!strcmp(notes_get(&a.notes, a.panes[0].traj->records[1]), "a\\;b \"c;d\""));
    write_text(path, "# comment\n\ngoto 1\nnosuch\ngoto 3\n");
    MUST(script_push_file(&a.script, path, false, &e), &e);
    CHECK(run_script(&a, &e) == ERR_BAD_ARGUMENT);
    CHECK(strstr(e.msg, "a.tabes:4: ") && a.panes[0].state == 1 && !script_waits(&a.script));
    MUST(script_push_file(&a.script, path, true, &e), &e); /* a config file goes on */
    MUST(run_script(&a, &e), &e);
    CHECK(a.panes[0].state == 3);
    snprintf(text, sizeof text, "source %s\n", path);
    write_text(path, text); /* itself */
    MUST(script_push_file(&a.script, path, false, &e), &e);
    CHECK(run_script(&a, &e) == ERR_BAD_ARGUMENT && strstr(e.msg, "deep"));
    unlink(path);
    rmdir(dir);
    CHECK(app_close(&a));
    denoiser_close(&f->base);
}

/* Typed through the key table; completion, history, and bytes that mean harm. */
static void test_line(void **state) {
    (void)state;
    fake *f = fake_gpu_new();
    model m = {.d = &f->base};
    app a;
    open_app(&a, &m);
    for (const char *k = ":goto 2\r"; *k; k++) keys_press(&a, *k);
    settle(&a);
    CHECK(!a.line.open && a.panes[0].state == 2);
    for (const char *k = ":pol\t"; *k; k++) keys_press(&a, *k);
    CHECK(!strcmp(a.line.text, "policy") && strstr(a.line.matches, "policy-next"));
    for (const char *k = " entr\t"; *k; k++) keys_press(&a, *k);
    CHECK(!strcmp(a.line.text, "policy entropy "));
    keys_press(&a, KEY_ESC);
    CHECK(!a.line.open);
    keys_press(&a, ':');
    keys_press(&a, TUI_KEY_UP);
    CHECK(!strcmp(a.line.text, "goto 2"));
    keys_press(&a, KEY_CTRL('u'));
    keys_press(&a, KEY_CTRL('v'));
    keys_press(&a, 0x9B);
    keys_press(&a, 0x202E);
    strbuf screen;
    draw(&a, &screen);
    CHECK(!strstr(screen.data, "\xE2\x80\xAE") && !strstr(screen.data, "\xC2\x9B"));
    strbuf_release(&screen);
    for (const char *k = "\025\022\030N\022go\030\025\021"; *k; k++)
        keys_press(&a, *k); /* searches cut short */
    keys_press(&a, KEY_ESC);
    keys_press(&a, ':');
    for (int i = 0; i < 3 * LINE_MAX_BYTES; i++) keys_press(&a, 'x');
    look_at(&a);
    keys_press(&a, KEY_RETURN);
    CHECK(!a.line.open && a.warning);
    keys_press(&a, ':');
    keys_press(&a, 127);
    CHECK(!a.line.open);
    for (const char *k = ":goto 1\r:\022g"; *k; k++) keys_press(&a, *k);
    line_end(); /* in the middle of a search over what is let go of now */
    CHECK(!a.line.open);
    for (const char *k = ":\035\033:\021\033:\022g"; *k; k++) keys_press(&a, *k);
    line_end();
    for (const char *k = ":goto 1\r:goto 2\r:\020\b\020"; *k; k++) keys_press(&a, *k);
    line_end(); /* after a change to a line of the history that was left again */
    CHECK(app_close(&a));
    denoiser_close(&f->base);
}

/* Tab after Tab shows all names, part by part, and then the first again. */
static void test_long_list(void **state) {
    (void)state;
    fake *f = fake_gpu_new();
    model m = {.d = &f->base};
    app a;
    open_app(&a, &m);
    keys_press(&a, ':');
    keys_press(&a, '\t');
    char first[sizeof a.line.matches], text[64];
    snprintf(first, sizeof first, "%s", a.line.matches);
    bool found[256] = {false}, all = true;
    int parts = 0;
    do {
        strbuf screen;
        draw(&a, &screen);
        for (int i = 0; i < n_bindings; i++) {
            const char *name = bindings[i].command;
            snprintf(text, sizeof text, " %s ", name ? name : "");
            found[i] |= !name || strstr(screen.data, text);
        }
        strbuf_release(&screen);
        CHECK(strstr(a.line.matches, "Tab: more") && !a.line.text[0]);
        keys_press(&a, '\t');
    } while (++parts < 100 && strcmp(a.line.matches, first));
    for (int i = 0; i < n_bindings; i++) {
        if (!found[i]) fprintf(stderr, "%s is not shown\n", bindings[i].command);
        all &= found[i];
    }
    CHECK(all && parts > 2 && parts < 100);
    for (const char *k = "export \t"; *k; k++) keys_press(&a, *k);
    CHECK(a.line.matches[0] && !strstr(a.line.matches, "Tab: more")); /* all fit */
    for (const char *k = "\025policy \t\t"; *k; k++) keys_press(&a, *k);
    CHECK(strstr(a.line.matches, "eb") && !strstr(a.line.matches, "boe"));
    keys_press(&a, 'r');
    CHECK(!a.line.matches[0]);
    keys_press(&a, '\t');
    CHECK(strstr(a.line.matches, "random") || strstr(a.line.text, "random"));
    keys_press(&a, KEY_ESC);
    CHECK(app_close(&a));
    denoiser_close(&f->base);
}

int main(void) {
    setlocale(LC_CTYPE, "C.UTF-8");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_to_run), cmocka_unit_test(test_every_key),
        cmocka_unit_test(test_words),          cmocka_unit_test(test_names),
        cmocka_unit_test(test_live),           cmocka_unit_test(test_queries),
        cmocka_unit_test(test_search),         cmocka_unit_test(test_notes),
        cmocka_unit_test(test_scripts),        cmocka_unit_test(test_line),
        cmocka_unit_test(test_long_list),
    };
    return finish("command", cmocka_run_group_tests(tests, NULL, NULL));
}
