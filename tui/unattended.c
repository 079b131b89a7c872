/* unattended.c - the workbench without a terminal: its screen as text, and lessons played through to check
 * them. */
#include <poll.h>

#include "tui/lessons/page.h"
#include "tui/lessons/sets.h"
#include "tui/screen.h"
#include "tui/start.h"
#include "tui/text.h"

/* Until the worker has answered, nothing plays and what is shown has been looked at. */
static void settle(app *a) {
    while (app_busy(a) || a->playing || looks_ask(a)) {
        struct pollfd fd = {.fd = a->worker ? worker_fd(a->worker) : -1, .events = POLLIN};
        if (app_waits(a)) poll(&fd, 1, 100);
        app_events(a);
        app_tick(a, a->next_tick);
    }
}

static int open_unseen(app *a, const tui_opts *o, err *e) {
    int rc = app_open(a, o, e);
    a->pal.mode = MODE_NONE;
    if (!rc) settle(a);
    return rc;
}

/* A step that could not be computed: where a person would see that and try again, commands end. */
static int check_panes(const app *a, err *e) {
    for (int i = 0; i < a->n_panes; i++) {
        if (a->panes[i].error[0])
            return err_set(e, ERR_IO, "pane %c: %s: %s", 'A' + i, pane_policy(&a->panes[i]),
                           a->panes[i].error);
    }
    return 0;
}

/* Each command to its end; the first that fails ends it. */
static int run_all(app *a, cells *g, err *e) {
    int rc = 0;
    while (!rc && script_waits(&a->script) && !a->quit) {
        unsigned flags = 0;
        if ((rc = check_panes(a, e))) break;
        rc = script_step(a, &flags, e);
        settle(a);
        if (!rc) rc = check_panes(a, e);
        err drawing = {0};
        if (!rc && screen_draw(a, g, &drawing)) rc = err_set(e, drawing.code, "%s", drawing.msg);
    }
    return rc;
}

static int press_all(app *a, cells *g, const char *keys, err *e) {
    int rc = screen_draw(a, g, e);
    while (!rc && keys && *keys && !a->quit) {
        unsigned flags = 0;
        rc = start_key(a, &keys, &flags, e);
        settle(a);
        if (!rc) rc = run_all(a, g, e); /* of a lesson's step */
        if (!rc) rc = screen_draw(a, g, e);
    }
    return rc;
}

int tui_dump(const tui_opts *o, int cols, int rows, strbuf *out, bool *still_computing, err *e) {
    app a;
    cells g = {0};
    int rc = open_unseen(&a, o, e);
    a.pal.ascii = o->ascii || text_only_ascii();
    if (!rc) rc = start_config(&a, o, e);
    if (!rc) rc = cells_init(&g, cols, rows, a.pal.ascii, e);
    if (!rc) rc = run_all(&a, &g, e);
    if (!rc && o->lesson) rc = lesson_begin(&a, o->lesson, e);
    if (!rc) rc = run_all(&a, &g, e);
    if (!rc) rc = press_all(&a, &g, o->keys, e);
    if (!rc) rc = start_commands(&a, o, e);
    if (!rc) rc = run_all(&a, &g, e);
    if (!rc) cells_dump(&g, out);
    cells_release(&g);
    *still_computing = !app_close(&a);
    return rc;
}

/* Lessons ---------------------------------------------------------------- */

static int misfit(const app *a, const lesson_act *act, err *e) {
    const lesson *l = a->lesson.l;
    return err_prefix(e, "%.300s:%d: step %d", l->path, act->line, a->lesson.step + 1), ERR_BAD_FORMAT;
}
#define MISFIT(a, act, e, ...) (err_set(e, ERR_BAD_FORMAT, __VA_ARGS__), misfit(a, act, e))

static int check_place(const app *a, const lesson_act *act, const char *set, err *e) {
    static int pos[1 << 16];
    int n = set_positions(a, set, pos, 1 << 16, e);
    if (n < 0) return misfit(a, act, e);
    return n ? 0 : MISFIT(a, act, e, "no position is '%.100s'", set);
}

/* The half of a step that is shown, on the screen as it was drawn last. */
static int check_half(const app *a, err *e) {
    static page p;
    const lesson_step *s = lesson_now(a);
    const lesson_act *act = a->lesson.after ? &s->after : &s->before;
    int room = a->lay.lesson.h - 1;
    page_now(a, LESSON_WIDTH(a->lay.lesson.w), &p);
    if (p.bad.code) return MISFIT(a, act, e, "%s", p.bad.msg);
    if (p.n > room) return MISFIT(a, act, e, "the text takes %d lines at 80x24, %d are there", p.n, room);
    int rc = *act->marks ? check_place(a, act, act->marks, e) : 0;
    return rc || !s->place ? rc : check_place(a, act, s->place, e);
}

static bool lesson_is_over(const app *a) {
    const lesson_step *s = lesson_now(a);
    return a->lesson.step + 1 == a->lesson.l->n_steps && (a->lesson.after || !s->has_after);
}

static int play_through(app *a, cells *g, err *e) {
    for (;;) {
        int rc = run_all(a, g, e);
        settle(a);
        if (!rc) rc = screen_draw(a, g, e);
        if (!rc) rc = check_half(a, e);
        if (rc || lesson_is_over(a)) return rc;
        a->forced = true;
        app_lesson_next(a, 0);
        a->forced = false;
    }
}

int tui_check_lesson(const tui_opts *o, bool *still_computing, err *e) {
    app a;
    cells g = {0};
    int rc = open_unseen(&a, o, e);
    if (!rc) rc = lesson_begin(&a, o->lesson, e);
    if (!rc) rc = cells_init(&g, LAYOUT_MIN_COLS, LAYOUT_MIN_ROWS, false, e);
    if (!rc) rc = play_through(&a, &g, e);
    cells_release(&g);
    *still_computing = !app_close(&a);
    return rc || !*still_computing ? rc : err_set(e, ERR_IO, "a step did not end");
}
