/* tui.c - the loop: wait for a key, the worker or the clock; change the app; draw one frame. */
#include "tui/tui.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "tui/keys.h"
#include "tui/screen.h"
#include "tui/start.h"
#include "tui/term.h"

/* A key is answered at once, as long as keys and pointer do not come faster than this; what changes by itself
 * may wait, and intermediate states are dropped. */
enum { FRAMES_PER_SECOND = 30, INPUT_FRAMES_PER_SECOND = 120, BUSY_POLL_MS = 250 };

typedef struct loop {
    app a;
    cells grid;
    unsigned flags;
    double last_frame;
    bool answers;          /* the next frame shows what a key or the pointer did */
    const char *keys;      /* given beforehand and not pressed yet */
    const tui_opts *later; /* whose commands come after the keys; NULL when they are queued */
    bool hangup;
} loop;

static double next_frame(const loop *l) {
    return l->last_frame + 1.0 / (l->answers ? INPUT_FRAMES_PER_SECOND : FRAMES_PER_SECOND);
}

static int timeout_ms(const loop *l) {
    double now = clock_now(), wait = app_wait(&l->a, now);
    if (l->flags & APP_REDRAW) {
        double frame = next_frame(l) - now;
        if (frame < 0) frame = 0;
        if (wait < 0 || frame < wait) wait = frame;
    }
    if (wait < 0) return app_waits(&l->a) ? BUSY_POLL_MS : -1;
    return (int)(wait * 1000) + (wait > 0);
}

/* Sleeps until there is something to do. */
static void wait_input(loop *l) {
    struct pollfd fds[3] = {{.fd = STDIN_FILENO, .events = POLLIN},
                            {.fd = term_resize_fd(), .events = POLLIN},
                            {.fd = l->a.worker ? worker_fd(l->a.worker) : -1, .events = POLLIN}};
    int n = poll(fds, 3, timeout_ms(l));
    if (n == 0 && app_waits(&l->a)) l->flags |= APP_REDRAW; /* elapsed time */
    if (n > 0 && fds[0].revents & (POLLHUP | POLLERR | POLLNVAL)) l->hangup = true;
}

static void obey(loop *l) {
    if (l->flags & APP_SUSPEND) term_suspend();
    if (l->flags & APP_MOUSE) term_toggle_mouse();
    if (l->flags & APP_PAINT) term_paint(style_screen(&l->a.pal));
    if (l->flags & APP_REPAINT) term_repaint();
    l->flags &= ~(unsigned)(APP_SUSPEND | APP_MOUSE | APP_REPAINT | APP_PAINT);
}

static void take_input(loop *l) {
    for (term_input in; !(l->flags & APP_QUIT) && (in = term_read()).event != TERM_NONE;) {
        if (in.event == TERM_KEY && (in.key == KEY_ESC || in.key == KEY_CTRL('c')))
            l->keys = "", script_drop(&l->a.script), l->later = NULL;
        unsigned did = keys_input(&l->a, &in);
        l->flags |= did;
        l->answers |= (did & APP_REDRAW) != 0;
        obey(l);
    }
}

static int draw(loop *l, err *e) {
    int cols, rows, rc = 0;
    term_size(&cols, &rows);
    if (l->grid.cols != cols || l->grid.rows != rows) {
        cells_release(&l->grid);
        rc = cells_init(&l->grid, cols, rows, l->a.pal.ascii, e);
    }
    if (!rc) rc = screen_draw(&l->a, &l->grid, e);
    if (rc) return rc;
    term_draw(&l->grid);
    l->last_frame = clock_now();
    l->flags &= ~(unsigned)APP_REDRAW;
    l->answers = false;
    return 0;
}

/* Keys given beforehand, each as soon as the one before has come to its end; Esc and Ctrl-c drop the rest. */
static int press_given(loop *l, err *e) {
    int rc = 0;
    while (!rc && *l->keys && !script_waits(&l->a.script) && !(l->flags & APP_QUIT) && !app_waits(&l->a) &&
           !l->a.playing) {
        rc = start_key(&l->a, &l->keys, &l->flags, e);
        obey(l);
        looks_ask(&l->a);
        if (!rc) rc = draw(l, e);
    }
    return rc;
}

/* Commands of files and options, likewise; an error of theirs is shown. */
static int run_given(loop *l, err *e) {
    int rc = 0;
    while (!rc && script_waits(&l->a.script) && !(l->flags & APP_QUIT) && !app_waits(&l->a) &&
           !l->a.playing) {
        err bad = {0};
        if (script_step(&l->a, &l->flags, &bad)) app_complain(&l->a, "%s", bad.msg);
        obey(l);
        looks_ask(&l->a);
        rc = draw(l, e);
    }
    return rc;
}

/* The config file, the keys, and then the commands. */
static int run_start(loop *l, err *e) {
    int rc = run_given(l, e);
    if (!rc) rc = press_given(l, e);
    if (rc || !l->later || *l->keys || script_waits(&l->a.script)) return rc;
    err bad = {0};
    if (start_commands(&l->a, l->later, &bad)) app_complain(&l->a, "%s", bad.msg);
    l->later = NULL;
    return run_given(l, e);
}

static int run(loop *l, err *e) {
    int rc = draw(l, e);
    while (!rc && !(l->flags & APP_QUIT) && !l->hangup) {
        rc = run_start(l, e);
        if (rc || l->flags & APP_QUIT) break;
        looks_ask(&l->a);
        wait_input(l);
        take_input(l);
        if (l->flags & APP_QUIT) break;
        l->flags |= app_events(&l->a) | app_tick(&l->a, clock_now());
        if (l->flags & APP_REDRAW && clock_now() >= next_frame(l)) rc = draw(l, e);
    }
    return rc;
}

/* Doors --------------------------------------------------------------- */

int tui_run(const tui_opts *o, bool *still_computing, err *e) {
    loop l = {0};
    palette pal;
    int rc = term_check(e);
    if (!rc) rc = app_open(&l.a, o, e);
    if (!rc) rc = start_config(&l.a, o, e);
    if (!rc && o->lesson) rc = lesson_begin(&l.a, o->lesson, e);
    if (!rc) rc = term_open(o, &pal, e);
    if (!rc) {
        pal.theme = l.a.pal.theme;
        l.a.pal = pal;
        term_paint(style_screen(&pal));
        l.keys = o->keys ? o->keys : "";
        l.later = o;
        line_keep_history();
        rc = run(&l, e);
        line_end();
        term_close();
    }
    cells_release(&l.grid);
    *still_computing = !app_close(&l.a);
    return rc;
}
