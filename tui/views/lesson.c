/* lesson.c - the step of a lesson: its place in the lesson on a rule, and under it text, question or answer.
 */
#include "tui/lessons/page.h"
#include "tui/view.h"

static void draw_rule(const app *a, cells *g, rect r) {
    const lesson_player *p = &a->lesson;
    int right = lesson_count(a, ANSWER_RIGHT), n = right + lesson_count(a, ANSWER_WRONG), end = rect_end(r);
    char keys[64];
    cells_repeat(g, r.x, r.y, r.w, 0x2500, look(a, STYLE_DIM));
    int x = r.x + 1, room = end - 34;
    if (cells_measure(p->l->title) + cells_measure(lesson_now(a)->title) + 10 <= room - x)
        x = cells_printf(g, x, r.y, room, look(a, STYLE_TITLE), " %s ", p->l->title);
    cells_printf(g, x, r.y, room, look(a, STYLE_STRONG), " %d/%d %s ", p->step + 1, p->l->n_steps,
                 lesson_now(a)->title);
    int asks = lesson_asks(a);
    snprintf(keys, sizeof keys,
             asks < 0 ? " Return answers "
             : asks   ? " 1-%d answers "
                      : " > on  < back ",
             asks);
    x = end - cells_measure(keys) - 1;
    cells_text(g, x, r.y, end, look(a, STYLE_KEY), keys);
    if (n) cells_printf(g, x - 16, r.y, x, look(a, STYLE_DIM), " %d of %d right ", right, n);
}

static void draw(const app *a, int i, cells *g, rect r) {
    static page p; /* drawing happens on one thread */
    (void)i;
    draw_rule(a, g, (rect){r.x, r.y, r.w, 1});
    page_now(a, LESSON_WIDTH(r.w), &p);
    for (int k = 0; k < p.n && k + 1 < r.h; k++)
        cells_text(g, r.x + 1, r.y + 1 + k, rect_end(r), look(a, p.at[k].role), p.at[k].text);
    if (a->lesson.missing[0] && p.n + 1 < r.h && !app_waits(a))
        cells_text(g, r.x + 1, r.y + r.h - 1, rect_end(r), look(a, STYLE_WARN), a->lesson.missing);
    if (p.n + 1 > r.h)
        cells_text(g, rect_end(r) - 2, r.y + r.h - 1, rect_end(r), look(a, STYLE_WARN), "\u2193");
}

const view view_lesson = {"lesson", draw};
