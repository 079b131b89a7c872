/* player.c - going through a lesson. */
#include "tui/lessons/player.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "tui/app.h"
#include "tui/lessons/sets.h"

const lesson_step *lesson_now(const app *a) {
    const lesson_player *p = &a->lesson;
    return p->l ? &p->l->steps[p->step] : NULL;
}

static const lesson_act *act_now(const app *a) {
    const lesson_step *s = lesson_now(a);
    return a->lesson.after ? &s->after : &s->before;
}

int lesson_asks(const app *a) {
    const lesson_step *s = lesson_now(a);
    if (!s || !s->question || a->lesson.after || a->over || a->help) return 0;
    return s->place ? -1 : s->n_choices;
}

int lesson_count(const app *a, lesson_answer what) {
    int n = 0;
    for (int i = 0; a->lesson.l && i < a->lesson.l->n_steps; i++) n += a->lesson.answers[i] == what;
    return n;
}

bool lesson_marks(const app *a, int i, int pos) {
    const lesson_player *p = &a->lesson;
    return p->l && i == a->focus && p->n_marked && pos < p->n_alloc && p->marked[pos];
}

/* Steps ------------------------------------------------------------------------ */

/* Of every command of the lesson that waits. */
enum { PLACE = 220 };
static const char *place_of(const app *a, char place[PLACE]) {
    snprintf(place, PLACE, "%.200s:", a->lesson.l->path);
    return place;
}

static int run_commands(app *a, err *e) {
    char name[300], place[PLACE];
    snprintf(name, sizeof name, "%s%d: step %d, command", place_of(a, place), act_now(a)->line,
             a->lesson.step + 1);
    return script_push(&a->script, name, act_now(a)->commands, false, false, e);
}

static int enter(app *a, int step, err *e) {
    char place[PLACE];
    lesson_player *p = &a->lesson;
    script_drop_of(&a->script, place_of(a, place));
    p->step = step;
    p->after = false;
    a->playing = false;
    a->layer = LAYER_STATE;
    a->tab = TAB_INSPECTOR;
    return run_commands(a, e);
}

static int reveal(app *a, lesson_answer answer, err *e) {
    lesson_player *p = &a->lesson;
    if (lesson_now(a)->question && !p->answers[p->step]) p->answers[p->step] = answer;
    p->after = true;
    return run_commands(a, e);
}

/* Its commands are not done yet. */
static bool setting_up(const app *a) {
    char place[PLACE];
    return script_has(&a->script, place_of(a, place)) || app_waits(a);
}

static bool hold(app *a, unsigned (*what)(app *, int), int count) {
    if (!a->lesson.l || !setting_up(a)) return false;
    a->lesson.held = what;
    a->lesson.held_count = count;
    return true;
}

bool lesson_ready(const app *a) {
    return a->lesson.held && !setting_up(a);
}

unsigned lesson_tick(app *a) {
    if (!lesson_ready(a)) return APP_NONE;
    unsigned (*what)(app *, int) = a->lesson.held;
    a->lesson.held = NULL;
    return what(a, a->lesson.held_count);
}

static unsigned report(app *a, int rc, const err *e) {
    if (rc) app_complain(a, "%s", e->msg);
    return APP_REDRAW;
}

/* A question is not passed over by one key too many. */
static bool may_skip(app *a) {
    if (!lesson_asks(a) || a->again || a->forced || a->script.depth) return true;
    a->asked = app_lesson_next;
    app_say(a, lesson_asks(a) < 0 ? "put the cursor there and press Return; > once more tells the answer"
                                  : "press the number of your answer; > once more tells it");
    return false;
}

unsigned app_lesson_next(app *a, int count) {
    err e = {0};
    (void)count;
    if (!a->lesson.l) {
        app_complain(a, "no lesson is open; tabes lesson lists them");
    } else if (hold(a, app_lesson_next, 0) || !may_skip(a)) {
        return APP_REDRAW;
    } else if (!a->lesson.after && lesson_now(a)->has_after) {
        return report(a, reveal(a, ANSWER_SKIPPED, &e), &e);
    } else if (a->lesson.step + 1 < a->lesson.l->n_steps) {
        return report(a, enter(a, a->lesson.step + 1, &e), &e);
    } else {
        app_say(a, "this was the last step; < goes back, Q leaves, everything else goes on working");
    }
    return APP_REDRAW;
}

unsigned app_lesson_back(app *a, int count) {
    err e = {0};
    lesson_player *p = &a->lesson;
    (void)count;
    if (!p->l) {
        app_complain(a, "no lesson is open; tabes lesson lists them");
    } else if (hold(a, app_lesson_back, 0)) {
        return APP_REDRAW;
    } else if (p->after || p->step) {
        return report(a, enter(a, p->after ? p->step : p->step - 1, &e), &e);
    } else {
        app_say(a, "this is the first step");
    }
    return APP_REDRAW;
}

/* Answers ------------------------------------------------------------------------ */

static int answer_place(app *a, bool *right, err *e) {
    int n = app_positions(a), rc = pane_derive(&a->panes[a->focus], e); /* no frame may show this state yet */
    if (rc) return rc;
    int *pos = mem_new((size_t)n, sizeof *pos);
    int found = pos ? set_positions(a, lesson_now(a)->place, pos, n, e)
                    : (err_set(e, ERR_NO_MEMORY, "out of memory"), -1);
    *right = false;
    for (int i = 0; i < found; i++) *right |= pos[i] == a->cursor;
    free(pos);
    return found < 0 ? e->code : 0;
}

static unsigned answer_held(app *a, int count) {
    err e = {0};
    return report(a, app_lesson_answer(a, count, &e), &e);
}

int app_lesson_answer(app *a, int count, err *e) {
    const lesson_step *s = lesson_now(a);
    int asks = lesson_asks(a), rc = 0;
    bool right;
    if (!asks) return err_set(e, ERR_BAD_ARGUMENT, "nothing is asked now");
    if (asks > 0 && (count < 1 || count > asks))
        return err_set(e, ERR_BAD_ARGUMENT, "answer %d, expected 1..%d", count, asks);
    if (hold(a, answer_held, count)) return 0;
    if (asks < 0) {
        rc = answer_place(a, &right, e);
    } else {
        right = count - 1 == s->right;
    }
    return rc ? rc : reveal(a, right ? ANSWER_RIGHT : ANSWER_WRONG, e);
}

/* Highlights --------------------------------------------------------------------- */

static int reserve(lesson_player *p, int n, err *e) {
    if (n <= p->n_alloc) return 0;
    bool *more = mem_new((size_t)n, sizeof *more);
    if (!more) return err_set(e, ERR_NO_MEMORY, "out of memory for highlights");
    free(p->marked);
    p->marked = more;
    p->n_alloc = n;
    return 0;
}

static void add_marks(app *a, const char *set, int *pos, int n) {
    lesson_player *p = &a->lesson;
    err why = {0};
    int found = *set ? set_positions(a, set, pos, n, &why) : 0;
    if (found < 0) snprintf(p->missing, sizeof p->missing, "%.199s", why.msg);
    for (int i = 0; i < found; i++) {
        p->n_marked += !p->marked[pos[i]];
        p->marked[pos[i]] = true;
    }
}

int lesson_update(app *a, err *e) {
    lesson_player *p = &a->lesson;
    const lesson_step *s = lesson_now(a);
    int n = app_positions(a);
    if (!s) return 0;
    int rc = reserve(p, n, e);
    int *pos = rc ? NULL : mem_new((size_t)n, sizeof *pos);
    if (!pos) return rc ? rc : err_set(e, ERR_NO_MEMORY, "out of memory for highlights");
    memset(p->marked, 0, (size_t)p->n_alloc * sizeof *p->marked);
    p->n_marked = 0;
    p->missing[0] = '\0';
    add_marks(a, act_now(a)->marks, pos, n);
    if (p->after && s->place) add_marks(a, s->place, pos, n);
    free(pos);
    return 0;
}

int lesson_begin(app *a, const lesson *l, err *e) {
    a->lesson = (lesson_player){.l = l};
    return enter(a, 0, e);
}

void lesson_end(app *a) {
    free(a->lesson.marked);
    a->lesson = (lesson_player){0};
}
