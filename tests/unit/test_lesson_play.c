/* test_lesson_play.c - a lesson beside the workbench over a fake model: steps, commands, answers, highlights,
 * and figures in the text as the records have them. */
#include "checks.h"

#include <locale.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "fake_denoiser.h"
#include "tui/command.h"
#include "tui/keys.h"
#include "tui/lessons/sets.h"
#include "tui/screen.h"
#include "tui/start.h"

enum { N = 10, SECONDS = 30 };

static const int32_t prompt[N] = {8, 2, 8, 8, 5, 8, 8, 0, 8, 8};
static const char text[] =
    "title: Play\nabout: A\nmodel: m\nlength: 0\nprompt: p\npolicies: boe\n"
    "== Choices\nThere are {count masked} masks.\ndo: goto 1\ndo: color entropy\nmark: fresh\n"
    "ask: Which?\n- this\n+ that\n--\nIt was {pos fresh}.\nmark: masked\n"
    "== Places\nask: Where?\nanswer: highest-entropy\n--\nThere.\n"
    "== Looks\nText.\ndo: goto 2\ndo: color lock-in\nmark: least-kept\n"
    "== Fault\nText.\nmark: 99\n";
static fake *f;
static model m;
static app a;
static lesson *l;

/* Runs what waits, as the loop does, and draws. */
static const char *settle(void) {
    static char shown[1 << 16];
    static cells g;
    strbuf out;
    err e = {0};
    for (int i = 0; i < SECONDS * 10 && (app_busy(&a) || looks_ask(&a) || script_waits(&a.script)); i++) {
        unsigned flags = 0;
        if (app_waits(&a)) poll(&(struct pollfd){.fd = worker_fd(a.worker), .events = POLLIN}, 1, 100);
        app_events(&a);
        if (!app_busy(&a) && script_waits(&a.script)) MUST(script_step(&a, &flags, &e), &e);
    }
    strbuf_init(&out, sizeof shown - 1);
    MUST(cells_init(&g, 100, 40, false, &e), &e);
    MUST(screen_draw(&a, &g, &e), &e);
    if (looks_ask(&a)) return cells_release(&g), settle(); /* the frame showed something new */
    cells_dump(&g, &out);
    snprintf(shown, sizeof shown, "%s", out.data);
    strbuf_release(&out);
    cells_release(&g);
    return shown;
}

static bool shows(const char *what) {
    const char *frame = settle();
    bool yes = strstr(frame, what) != NULL;
    if (!yes) print_error("'%s' is not in\n%s\n", what, frame);
    return yes;
}

static void key(int k) {
    keys_press(&a, k);
    settle();
}

static int open_app(void **state) {
    (void)state;
    err e = {0};
    f = fake_new(false, 64);
    m = (model){.d = &f->base};
    MUST(lesson_parse(&l, text, strlen(text), "play.lesson", &e), &e);
    tui_opts o = {.model = &m, .prompt = prompt, .n_prompt = N, .n_panes = 1, .lesson = l};
    o.panes[0].policy = policy_find("boe");
    policy_defaults(o.panes[0].policy, NULL, &o.panes[0].params);
    MUST(app_open(&a, &o, &e), &e);
    a.pal = (palette){.mode = MODE_NONE};
    settle();
    MUST(lesson_begin(&a, l, &e), &e);
    settle();
    return 0;
}

static int close_app(void **state) {
    (void)state;
    CHECK(app_close(&a));
    denoiser_close(&f->base);
    lesson_free(l);
    return 0;
}

static const step_record *record(void) {
    return pane_record(&a.panes[0]);
}

/* A step runs its commands from the plain view, and marks what it says. */
static void test_step(void **state) {
    (void)state;
    CHECK(a.panes[0].state == 1 && a.layer == LAYER_ENTROPY && a.lesson.n_marked == 1);
    CHECK(lesson_marks(&a, 0, a.panes[0].traj->records[0]->writes[0].pos));
    CHECK(shows("1/4 Choices") && shows("There are 6 masks.") && shows("Which?") && shows(" 2  that"));
    key('3'); /* no choice: a count, as ever */
    CHECK(lesson_asks(&a) == 2 && a.lesson.answers[0] == ANSWER_NONE);
}

static void test_choices(void **state) {
    (void)state;
    key('1');
    CHECK(a.lesson.after && a.lesson.answers[0] == ANSWER_WRONG && lesson_asks(&a) == 0);
    CHECK(shows("Not so: 2, that") && shows("0 of 1 right") && a.lesson.n_marked == 6);
    key('<');
    CHECK(!a.lesson.after && lesson_asks(&a) == 2);
    key('2'); /* the first answer counts */
    CHECK(a.lesson.after && a.lesson.answers[0] == ANSWER_WRONG && shows("It was "));
}

static void test_not_by_accident(void **state) {
    (void)state;
    key('>');
    CHECK(!a.lesson.after && strstr(a.message, "> once more"));
    key('>');
    CHECK(a.lesson.after && a.lesson.answers[0] == ANSWER_SKIPPED && shows("Answer: 2, that"));
    CHECK(lesson_count(&a, ANSWER_RIGHT) == 0 && lesson_count(&a, ANSWER_WRONG) == 0);
}

/* A key that comes while a step is set up is not lost: it waits for the step, once. */
static void test_held(void **state) {
    (void)state;
    a.forced = true;
    app_lesson_next(&a, 0);
    app_lesson_next(&a, 0);
    app_lesson_next(&a, 0);
    app_lesson_next(&a, 0); /* to step 3, whose commands are waiting now */
    a.forced = false;
    CHECK(a.lesson.step == 2 && script_waits(&a.script));
    keys_press(&a, '<');
    keys_press(&a, '>'); /* the last one counts */
    CHECK(a.lesson.step == 2 && a.lesson.held && !lesson_ready(&a));
    settle();
    CHECK(lesson_ready(&a) && a.panes[0].state == 2);
    CHECK(app_tick(&a, 0) & APP_REDRAW && a.lesson.step == 3 && !a.lesson.held);
}

/* Going on drops what is left of a step, and nothing of a script that goes on beneath. */
static void test_beneath(void **state) {
    (void)state;
    err e = {0};
    MUST(script_push(&a.script, "outer", "lesson-answer 2; lesson-next; position 3", true, false, &e), &e);
    settle();
    CHECK(a.lesson.answers[0] == ANSWER_RIGHT && a.lesson.step == 1 && a.cursor == 3);
}

static int highest_entropy(void) {
    const step_record *r = record();
    int best = 0;
    for (int i = 1; i < r->n_masked; i++) best = r->entropy[i] > r->entropy[best] ? i : best;
    return r->masked[best];
}

static void test_places(void **state) {
    (void)state;
    key('2');
    CHECK(a.lesson.answers[0] == ANSWER_RIGHT);
    key('>');
    CHECK(shows("2/4 Places") && lesson_asks(&a) == -1 && a.layer == LAYER_STATE);
    a.cursor = highest_entropy();
    key(KEY_RETURN);
    CHECK(a.lesson.answers[1] == ANSWER_RIGHT && shows("2 of 2 right"));
    CHECK(lesson_marks(&a, 0, a.cursor)); /* the answer is shown, too */
    CHECK(shows("Right: position"));
}

static void test_wrong_place(void **state) {
    (void)state;
    key('2');
    key('>');
    a.cursor = 1; /* of the prompt */
    key(KEY_RETURN);
    CHECK(a.lesson.answers[1] == ANSWER_WRONG && shows("Not so: position") && shows("1 of 2 right"));
}

/* Closer looks come by themselves; what cannot be told is said. */
static void test_looks(void **state) {
    (void)state;
    for (int i = 0; i < 6; i++) {
        a.forced = true;
        app_lesson_next(&a, 0);
        a.forced = false;
        settle();
        if (a.lesson.step == 2) break;
    }
    CHECK(a.lesson.step == 2 && a.layer == LAYER_LOCK_IN && a.lesson.n_marked >= 1 && !a.lesson.missing[0]);
    key('>');
    CHECK(a.lesson.step == 3 && a.lesson.n_marked == 0 &&
          strstr(a.lesson.missing, "position 99 is past the end"));
    CHECK(shows("position 99 is past the end"));
    key('>');
    CHECK(a.lesson.step == 3 && strstr(a.message, "last step"));
    key('<');
    CHECK(a.lesson.step == 2 && a.panes[0].state == 2);
}

/* Every set of masked positions by the records, and the figures of placeholders. */
static void test_figures(void **state) {
    (void)state;
    int pos[N], k = record_masked_index(record(), highest_entropy());
    char want[200];
    err e = {0};
    strbuf out;
    strbuf_init(&out, 1000);
    CHECK(set_positions(&a, "masked", pos, N, &e) == record()->n_masked && pos[0] == record()->masked[0]);
    CHECK(set_positions(&a, "prompt", pos, N, &e) == 3 && pos[0] == 1 && pos[1] == 4 && pos[2] == 7);
    CHECK(set_positions(&a, "0, 3-4, 4", pos, N, &e) == 3 && pos[2] == 4);
    CHECK(set_positions(&a, "candidates", pos, N, &e) == record()->n_cand);
    CHECK(set_positions(&a, "next", pos, N, &e) == 1 && pos[0] == record()->writes[0].pos);
    CHECK(set_positions(&a, "doubted", pos, N, &e) == -1 && strstr(e.msg, "nothing has looked at lock-in"));
    e = (err){0};
    MUST(set_expand(&a,
                    "H {H highest-entropy} p {p highest-entropy} at {pos highest-entropy} of {count masked}",
                    &out, &e),
         &e);
    snprintf(want, sizeof want, "H %.3f p %.3f at %d of %d", record()->entropy[k], record()->confidence[k],
             record()->masked[k], record()->n_masked);
    if (!CHECK(!strcmp(out.data, want))) print_error("%s, expected %s\n", out.data, want);
    strbuf_clear(&out);
    CHECK(set_expand(&a, "{tis 1} and {count masked}", &out, &e) && !strncmp(out.data, "? and 6", 7));
    CHECK(strstr(e.msg, "tis of position 1 is not known"));
    strbuf_release(&out);
}

int main(void) {
#define WITH_APP(test) cmocka_unit_test_setup_teardown(test, open_app, close_app)
    const struct CMUnitTest tests[] = {
        WITH_APP(test_step),    WITH_APP(test_choices),     WITH_APP(test_not_by_accident),
        WITH_APP(test_places),  WITH_APP(test_wrong_place), WITH_APP(test_looks),
        WITH_APP(test_figures), WITH_APP(test_held),        WITH_APP(test_beneath),
    };
    setlocale(LC_CTYPE, "C.UTF-8");
    return finish("lesson play", cmocka_run_group_tests(tests, NULL, NULL));
}
