/* test_layout.c - rectangles for every size: inside the screen, never on one another, nothing lost that must
 * show. */
#include "checks.h"

#include "tui/layout.h"

enum { MAX_RECTS = 48 };

static int all_rects(const layout *l, rect *out) {
    int n = 0;
    const rect shared[] = {l->title, l->legend, l->timeline, l->tabs, l->chart, l->look, l->hints, l->status};
    for (size_t i = 0; i < sizeof shared / sizeof shared[0]; i++) out[n++] = shared[i];
    for (int i = 0; i < l->n_panes; i++) {
        const pane_layout *p = &l->pane[i];
        const rect own[] = {p->title, p->summary, p->canvas, p->inspector, p->candidates};
        for (size_t k = 0; k < sizeof own / sizeof own[0]; k++) out[n++] = own[k];
    }
    return n;
}

static bool overlap(rect a, rect b) {
    return a.h && b.h && a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
}

static bool is_sound(const layout *l) {
    rect r[MAX_RECTS];
    int n = all_rects(l, r);
    for (int i = 0; i < n; i++) {
        if (r[i].h && (r[i].w < 1 || r[i].h < 0 || r[i].x < 0 || r[i].y < 0)) return false;
        if (r[i].h && (r[i].x + r[i].w > l->cols || r[i].y + r[i].h > l->rows)) return false;
        for (int k = 0; k < i; k++) {
            if (overlap(r[i], r[k])) return false;
        }
    }
    return true;
}

static void test_every_size(void **state) {
    (void)state;
    int bad = 0, small = 0;
    for (int cols = 1; cols <= 260; cols += cols < 90 ? 1 : 7) {
        for (int rows = 1; rows <= 100; rows++) {
            for (int panes = 1; panes <= LAYOUT_PANES; panes++) {
                for (int tab = 0; tab < N_TABS; tab++) {
                    layout l = layout_of(cols, rows,
                                         &(layout_wish){panes, rows % 30, (detail_tab)tab, rows % panes, 0});
                    bool fits = cols >= LAYOUT_MIN_COLS && rows >= LAYOUT_MIN_ROWS;
                    small += l.too_small == fits;
                    bad += !l.too_small && !is_sound(&l);
                    for (int i = 0; fits && i < panes; i++)
                        bad += l.pane[i].canvas.h < 6 || l.pane[i].canvas.w < 30;
                    bad +=
                        fits && (l.status.h != 1 || l.hints.h != 1 || l.timeline.h != 1 || l.legend.h != 1);
                }
            }
        }
    }
    CHECK(bad == 0);
    CHECK(small == 0);
}

static void test_known_sizes(void **state) {
    (void)state;
    layout l = layout_of(80, 24, &(layout_wish){2, 10, TAB_INSPECTOR, 0, 0});
    CHECK(l.tabbed && l.pane[0].canvas.h >= 10 && l.pane[0].inspector.h >= 5 && !l.pane[0].candidates.h &&
          !l.chart.h);
    CHECK(l.pane[1].canvas.x > l.pane[0].canvas.x + 30);
    l = layout_of(80, 24, &(layout_wish){2, 10, TAB_CHART, 0, 0});
    CHECK(l.chart.h >= 5 && !l.pane[0].inspector.h);
    l = layout_of(120, 40, &(layout_wish){2, 10, TAB_INSPECTOR, 0, 0});
    CHECK(!l.tabbed && l.pane[1].inspector.h >= 10 && l.pane[1].candidates.h >= 10 && l.chart.h >= 6 &&
          l.pane[0].canvas.h >= 10);
    l = layout_of(200, 60, &(layout_wish){2, 10, TAB_INSPECTOR, 0, 0});
    CHECK(!l.tabbed && l.pane[0].candidates.w >= 45 && l.pane[0].summary.h == 1);
    CHECK(layout_of(79, 24, &(layout_wish){2, 10, TAB_CHART, 0, 0}).too_small &&
          layout_of(80, 23, &(layout_wish){2, 10, TAB_CHART, 0, 0}).too_small);
}

/* Three and four panes: two rows where columns would be too narrow, and the detail of the focused pane. */
static void test_more_panes(void **state) {
    (void)state;
    layout l = layout_of(80, 24, &(layout_wish){4, 10, TAB_INSPECTOR, 2, 0});
    CHECK(l.columns == 2 && l.pane[2].canvas.y > l.pane[0].canvas.y && l.pane[3].canvas.x > 30);
    CHECK(l.pane[0].canvas.h == 6 && !l.pane[1].inspector.h);
    CHECK(l.pane[2].inspector.h >= 4 && l.pane[2].inspector.w == 80);
    l = layout_of(80, 24, &(layout_wish){3, 10, TAB_INSPECTOR, 1, 0});
    CHECK(l.pane[2].canvas.h >= 7 && l.pane[1].inspector.x > l.pane[2].canvas.x + 30);
    CHECK(l.pane[1].inspector.y > l.pane[1].canvas.y && l.legend.y > l.pane[1].inspector.y);
    l = layout_of(80, 24, &(layout_wish){3, 10, TAB_CHART, 1, 0});
    CHECK(l.chart.h >= 6 && l.chart.x > 30);
    l = layout_of(80, 24, &(layout_wish){3, 10, TAB_INFLUENCE, 1, 0});
    CHECK(l.look.w == 80 && l.look.h >= 4);
    l = layout_of(120, 40, &(layout_wish){4, 10, TAB_INSPECTOR, 0, 0});
    CHECK(l.columns == 2 && l.pane[3].canvas.h >= 10 && l.pane[0].inspector.w == 120);
    l = layout_of(200, 60, &(layout_wish){4, 10, TAB_INSPECTOR, 0, 0});
    CHECK(l.columns == 2 && l.chart.h >= 6 && l.pane[3].inspector.h >= 8 && l.pane[3].canvas.h >= 10);
    l = layout_of(200, 60, &(layout_wish){3, 10, TAB_INSPECTOR, 0, 0});
    CHECK(l.columns == 3 && l.pane[2].candidates.h >= 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_size),
        cmocka_unit_test(test_known_sizes),
        cmocka_unit_test(test_more_panes),
    };
    return finish("layout", cmocka_run_group_tests(tests, NULL, NULL));
}
