/* test_orders.c - the order of one pane against another's: places, the list of the largest differences, and
 * what canvas, legend and inspector say, over a fake model whose tokens make a grid. */
#include "checks.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "fake_denoiser.h"
#include "fake_gpu.h"
#include "tui/command.h"
#include "tui/keys.h"
#include "tui/screen.h"

enum { N = 10, SECONDS = 30 };

static const int32_t prompt[N] = {8, 2, 8, 8, 5, 8, 8, 0, 8, 8};
static fake *f;
static model m;
static app a;

static void settle(void) {
    for (int i = 0; i < SECONDS * 10 && app_busy(&a); i++) {
        poll(&(struct pollfd){.fd = worker_fd(a.worker), .events = POLLIN}, 1, 100);
        app_events(&a);
    }
    CHECK(!app_busy(&a));
}

static const char *frame(int cols, int rows) {
    static char text[1 << 17];
    cells g = {0};
    strbuf out;
    err e = {0};
    strbuf_init(&out, sizeof text - 1);
    MUST(cells_init(&g, cols, rows, false, &e), &e);
    MUST(screen_draw(&a, &g, &e), &e);
    cells_dump(&g, &out);
    snprintf(text, sizeof text, "%s", out.data);
    cells_release(&g);
    strbuf_release(&out);
    return text;
}

static void type(const char *keys) {
    for (; *keys; keys++) {
        keys_press(&a, (unsigned char)*keys);
        settle();
        frame(120, 40);
    }
}

static void open_three(int n) {
    static const char *const names[] = {"confidence", "left-to-right", "boe"};
    f = fake_new(false, 64);
    m = (model){.d = &f->base};
    tui_opts o = {.model = &m, .prompt = prompt, .n_prompt = N, .n_panes = n};
    for (int i = 0; i < n; i++) {
        o.panes[i] = (tui_pane){.policy = policy_find(names[i])};
        policy_defaults(o.panes[i].policy, NULL, &o.panes[i].params);
    }
    err e = {0};
    MUST(app_open(&a, &o, &e), &e);
    a.pal = (palette){.mode = MODE_NONE};
    settle();
}

static void close_app(void) {
    CHECK(app_close(&a));
    denoiser_close(&f->base);
}

/* The step that wrote a position, from 1: one token a step here, so it is the place, too. */
static int step_of(const pane *p, int pos) {
    for (int k = 0; k < p->traj->n_records; k++) {
        for (int i = 0; i < p->traj->records[k]->n_writes; i++) {
            if (p->traj->records[k]->writes[i].pos == pos) return k + 1;
        }
    }
    return 0;
}

static void test_places(void **state) {
    (void)state;
    open_three(3);
    type("cO");
    const orders *o = &a.orders;
    CHECK(a.layer == LAYER_ORDERS && a.tab == TAB_ORDERS && o->other == 1 && o->n_both == 7 && !o->n_one);
    int most = 0;
    for (int pos = 0; pos < N; pos++) {
        int by, x = step_of(&a.panes[0], pos), y = step_of(&a.panes[1], pos);
        CHECK(o->place[0][pos] == x && o->place[1][pos] == y && o->step[1][pos] == y);
        CHECK(orders_difference(o, pos, &by) == (x > 0));
        if (x) CHECK(by == x - y);
        if (x && abs(x - y) > most) most = abs(x - y);
    }
    CHECK(most > 0 && o->most == most);
    for (int k = 1; k < o->n_both; k++) {
        int before, after;
        CHECK(orders_difference(o, o->by_size[k - 1], &before) &&
              orders_difference(o, o->by_size[k], &after));
        CHECK(abs(before) >= abs(after));
    }
    CHECK(o->place[1][0] == 1 && o->place[1][9] == 7); /* left to right */
    /* Whatever state is shown, and on the focused canvas alone; C against A once it has the focus. */
    type("gg");
    CHECK(o->n_both == 7 && o->most == most);
    type("\t");
    CHECK(o->other == 1);
    type("\t");
    CHECK(o->other == 2 && strstr(frame(120, 40), "whole decodes A/C"));
    for (int pos = 0; pos < N; pos++) CHECK(o->place[1][pos] == step_of(&a.panes[2], pos));
    type("O");
    CHECK(a.layer == LAYER_STATE && a.tab == TAB_INSPECTOR);
    close_app();
}

static void test_shown(void **state) {
    (void)state;
    open_three(2);
    type("cO");
    int pos = a.orders.by_size[0], by = 0;
    char want[80];
    CHECK(orders_difference(&a.orders, pos, &by) && by);
    a.cursor = pos;
    snprintf(want, sizeof want, "A %d, B %d: %d place%s %s in A", step_of(&a.panes[0], pos),
             step_of(&a.panes[1], pos), abs(by), abs(by) == 1 ? "" : "s", by < 0 ? "earlier" : "later");
    CHECK(strstr(frame(80, 24), want)); /* the list */
    CHECK(strstr(frame(80, 24), " earlier in A "));
    CHECK(strstr(frame(200, 60), "A known to step 7, B to 7"));
    type("i");
    snprintf(want, sizeof want, "order A %d  B %d  A-B %+d", step_of(&a.panes[0], pos),
             step_of(&a.panes[1], pos), by);
    CHECK(a.tab == TAB_INSPECTOR && strstr(frame(80, 24), want));
    CHECK(strstr(frame(120, 40), want) && strstr(frame(200, 60), want));
    close_app();
}

/* What only one decode has unmasked so far has no difference; neither has the prompt. */
static void test_partly_known(void **state) {
    (void)state;
    open_three(2);
    type("=c");
    type("\tssO");
    const orders *o = &a.orders;
    char text[80];
    CHECK(o->other == 1 && o->n_both == 2 && o->n_one == 5);
    int by, alone = -1;
    for (int pos = 0; pos < N; pos++) {
        if (o->place[0][pos] && !o->place[1][pos]) alone = pos;
    }
    CHECK(alone >= 0 && !orders_difference(o, alone, &by));
    CHECK(strstr(orders_text(o, alone, text, sizeof text), "B not yet"));
    CHECK(!strcmp(orders_text(o, 1, text, sizeof text), "unmasked by neither"));
    CHECK(strstr(frame(120, 40), "5 unmasked by one alone"));
    /* Put back to the mask, a token loses its place. */
    a.cursor = a.panes[1].traj->records[0]->writes[0].pos;
    type("x");
    CHECK(o->n_both == 1);
    /* The other pane goes: nothing is left to compare. */
    unsigned flags = 0;
    err e = {0};
    MUST(command_run(&a, "pane-close!", &flags, &e), &e);
    CHECK(strstr(frame(120, 40), "there is one pane") && !o->other);
    type("O");
    CHECK(a.layer == LAYER_STATE);
    type("O");
    CHECK(a.layer == LAYER_STATE && strstr(a.message, "one pane"));
    close_app();
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_places), cmocka_unit_test(test_shown),
                                       cmocka_unit_test(test_partly_known)};
    return finish("orders", cmocka_run_group_tests(tests, NULL, NULL));
}
