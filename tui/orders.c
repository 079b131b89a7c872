/* orders.c - two orders of unmasking, position by position. */
#include "tui/orders.h"

#include <stdlib.h>

#include "engine/base/mem.h"
#include "tui/app.h"

static bool wanted(const app *a) {
    return a->n_panes > 1 && (a->layer == LAYER_ORDERS || a->tab == TAB_ORDERS);
}

void orders_release(orders *o) {
    for (int i = 0; i < 2; i++) {
        free(o->place[i]);
        free(o->step[i]);
    }
    free(o->by_size);
    *o = (orders){0};
}

static int reserve(orders *o, int n, err *e) {
    if (o->n_alloc >= n && o->by_size) return 0;
    orders_release(o);
    bool ok = true;
    for (int i = 0; i < 2; i++) {
        o->place[i] = mem_new((size_t)n, sizeof *o->place[i]);
        o->step[i] = mem_new((size_t)n, sizeof *o->step[i]);
        ok = ok && o->place[i] && o->step[i];
    }
    o->by_size = mem_new((size_t)n, sizeof *o->by_size);
    if (ok && o->by_size) {
        o->n_alloc = n;
        return 0;
    }
    orders_release(o);
    return err_set(e, ERR_NO_MEMORY, "out of memory for %d tokens", n);
}

/* A token that went back to the mask lost its place; the next one at the position gets a new one. */
static void order_of(const trajectory *t, int n, int *place, int *step) {
    int count = 0;
    for (int i = 0; i < n; i++) place[i] = step[i] = 0;
    for (int k = 0; k < t->n_records; k++) {
        const step_record *r = t->records[k];
        for (int i = 0; i < r->n_writes; i++) {
            bool back = r->writes[i].token == t->head.mask_id;
            int pos = r->writes[i].pos;
            count += !back;
            if (pos >= n) continue;
            place[pos] = back ? 0 : count;
            step[pos] = back ? 0 : k + 1;
        }
    }
}

bool orders_difference(const orders *o, int pos, int *by) {
    if (!o->other || pos >= o->n || !o->place[0][pos] || !o->place[1][pos]) return false;
    *by = o->place[0][pos] - o->place[1][pos];
    return true;
}

static int size_at(const orders *o, int pos) {
    int by = 0;
    return orders_difference(o, pos, &by) ? abs(by) : -1;
}

/* Insertion into the list, which is short; equal ones stay in the order of positions. */
static void list_by_size(orders *o) {
    o->n_both = o->n_one = 0;
    o->most = 1;
    for (int pos = 0; pos < o->n; pos++) {
        int size = size_at(o, pos), k = o->n_both;
        o->n_one += !o->place[0][pos] != !o->place[1][pos];
        if (size < 0) continue;
        if (size > o->most) o->most = size;
        for (; k > 0 && size_at(o, o->by_size[k - 1]) < size; k--) o->by_size[k] = o->by_size[k - 1];
        o->by_size[k] = pos;
        o->n_both++;
    }
}

int orders_update(app *a, err *e) {
    orders *o = &a->orders;
    o->other = 0;
    if (!wanted(a)) return 0;
    int other = a->focus ? a->focus : 1;
    const trajectory *x = a->panes[0].traj, *y = a->panes[other].traj;
    int n = x->head.n_tokens < y->head.n_tokens ? x->head.n_tokens : y->head.n_tokens;
    int rc = reserve(o, n, e);
    if (rc) return rc;
    o->other = other;
    o->n = n;
    order_of(x, n, o->place[0], o->step[0]);
    order_of(y, n, o->place[1], o->step[1]);
    list_by_size(o);
    return 0;
}

const char *orders_text(const orders *o, int pos, char *buf, size_t size) {
    int by, letter = 'A' + o->other;
    if (!o->other || pos >= o->n || (!o->place[0][pos] && !o->place[1][pos])) {
        snprintf(buf, size, "unmasked by neither");
    } else if (!orders_difference(o, pos, &by)) {
        bool first = o->place[0][pos];
        snprintf(buf, size, "%c %d, %c not yet", first ? 'A' : letter, o->place[!first][pos],
                 first ? letter : 'A');
    } else if (!by) {
        snprintf(buf, size, "A %d, %c %d: the same place", o->place[0][pos], letter, o->place[1][pos]);
    } else {
        snprintf(buf, size, "A %d, %c %d: %d place%s %s in A", o->place[0][pos], letter, o->place[1][pos],
                 abs(by), abs(by) == 1 ? "" : "s", by < 0 ? "earlier" : "later");
    }
    return buf;
}

unsigned app_orders(app *a, int count) {
    (void)count;
    bool back = a->layer == LAYER_ORDERS;
    if (a->n_panes < 2 && !back) {
        app_say(a, "there is one pane: no order to compare with");
        return APP_REDRAW;
    }
    a->layer = back ? LAYER_STATE : LAYER_ORDERS;
    a->tab = back ? TAB_INSPECTOR : TAB_ORDERS;
    app_say(a, "colouring: %s", layer_name(a->layer));
    return APP_REDRAW;
}
