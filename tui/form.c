/* form.c - policy and parameters of a pane as a form, made from the tables of policies and parameters. What
 * it holds becomes one setting, from the state shown on. */
#include <assert.h>
#include <string.h>

#include "engine/intervene.h"
#include "tui/edit.h"
#include "tui/dialog.h"

enum { NAME_WIDTH = 16, VALUE_WIDTH = 18 };

static int rows(const dialog *o) {
    return 1 + o->params.n;
}

static int lines(const app *a) {
    return rows(a->over) + 3;
}

/* The row's value as text, to be typed over. */
static void show_value(dialog *o) {
    char text[64] = "";
    if (o->row) param_format(&o->params, o->row - 1, text, sizeof text);
    (void)input_set(&o->in, text);
    o->typing = false;
}

/* What was typed becomes the value; false, with the reason in the form, when it is none. */
static bool take_value(app *a) {
    dialog *o = a->over;
    err e = {0};
    if (!o->typing) return true;
    param_set before = o->params;
    if (param_parse(&o->params, o->params.defs[o->row - 1]->name, o->in.text, &e)) {
        o->params = before;
        dialog_note(a, "%s", e.msg);
        return false;
    }
    o->typing = false;
    return true;
}

static void change_policy(app *a, int by) {
    dialog *o = a->over;
    int n = 0, at = 0;
    for (; policies[n]; n++) {
        if (policies[n] == o->policy) at = n;
    }
    param_set old = o->params;
    strbuf left_out;
    strbuf_init(&left_out, sizeof o->note / 2);
    assert(n);
    o->policy = policies[((at + by) % n + n) % n];
    app_carry_params(a, o->policy, &old, &o->params, &left_out);
    if (left_out.len) dialog_note(a, "with its own %s", left_out.data);
    strbuf_release(&left_out);
}

/* The next of a choice, or the other of two. */
static void turn(dialog *o, int by) {
    const param_def *d = o->params.defs[o->row - 1];
    int n = d->type == PARAM_BOOL ? 2 : 0, i = o->row - 1;
    for (; d->type == PARAM_CHOICE && d->choices[n]; n++) {}
    assert(n); /* turns() let nothing else through */
    o->params.v[i] = ((int)o->params.v[i] + by + n) % n;
    o->params.given[i] = true;
    show_value(o);
}

static bool turns(const dialog *o) {
    if (!o->row) return true;
    param_type t = o->params.defs[o->row - 1]->type;
    return t == PARAM_BOOL || t == PARAM_CHOICE;
}

static void use(app *a) {
    dialog *o = a->over;
    pane *p = &a->panes[a->focus];
    err e = {0};
    if (!take_value(a)) return;
    step_setting s = intervene_current(&p->own, p->state);
    bool other = strcmp(s.policy, o->policy->name) != 0;
    snprintf(s.policy, sizeof s.policy, "%s", o->policy->name);
    s.params = o->params;
    if (other) s.extra_json = NULL;
    if (!edit_setting(a, p, &s, &e)) {
        dialog_note(a, "%s", e.msg);
        return;
    }
    dialog_close(a);
    app_say(a, "pane %c goes on with %s; u undoes", 'A' + a->focus, p->policy->name);
}

/* The first key typed on a number replaces it. */
static void type(dialog *o, int key) {
    bool prints = key > ' ' && key < TUI_KEY_FIRST && key != 127;
    if (!o->row || turns(o)) return;
    if (!o->typing && prints) (void)input_set(&o->in, "");
    if (input_key(&o->in, key)) o->typing = true;
}

static void press(app *a, int key) {
    dialog *o = a->over;
    bool vertical = key == TUI_KEY_UP || key == TUI_KEY_DOWN || key == '\t' || key == TUI_KEY_BACKTAB;
    if (key == KEY_RETURN || key == '\n') {
        use(a);
    } else if (vertical) {
        if (!take_value(a)) return;
        dialog_move(o, key == '\t' ? TUI_KEY_DOWN : key == TUI_KEY_BACKTAB ? TUI_KEY_UP : key, rows(o));
        show_value(o);
    } else if (turns(o) && (key == TUI_KEY_LEFT || key == TUI_KEY_RIGHT || key == ' ')) {
        int by = key == TUI_KEY_LEFT ? -1 : 1;
        if (o->row) {
            turn(o, by);
        } else {
            change_policy(a, by);
        }
    } else {
        type(o, key);
    }
}

static void put_range(const app *a, cells *g, int x, int y, int end, const param_def *d) {
    style dim = look(a, STYLE_DIM);
    if (d->type == PARAM_CHOICE) {
        for (int i = 0; d->choices[i]; i++)
            x = cells_printf(g, x, y, end, dim, "%s%s", i ? " | " : "", d->choices[i]);
    } else if (d->type == PARAM_BOOL) {
        cells_text(g, x, y, end, dim, "on | off");
    } else {
        cells_printf(g, x, y, end, dim, "%g .. %g", d->min, d->max);
    }
}

static void draw_param(const app *a, cells *g, rect r, int y, int i) {
    const dialog *o = a->over;
    const param_def *d = o->params.defs[i];
    bool here = o->row == i + 1;
    char value[64];
    int x = r.x + 2, end = rect_end(r);
    if (here) cells_text(g, r.x, y, end, look(a, STYLE_NEXT), "\u25B8");
    cells_text(g, x, y, x + NAME_WIDTH - 1, look(a, here ? STYLE_STRONG : STYLE_PLAIN), d->name);
    x += NAME_WIDTH;
    if (here && o->typing) {
        input_draw(a, &o->in, g, x, y, x + VALUE_WIDTH);
    } else {
        cells_printf(g, x, y, x + VALUE_WIDTH, look(a, o->params.given[i] ? STYLE_STRONG : STYLE_PLAIN),
                     "%s%s", param_format(&o->params, i, value, sizeof value),
                     here && turns(o) ? "  \u2190\u2192" : "");
    }
    put_range(a, g, x + VALUE_WIDTH + 1, y, end, d);
}

static void draw(const app *a, cells *g, rect r) {
    const dialog *o = a->over;
    bool here = !o->row;
    int room = r.h - 3, top = o->row >= room ? o->row - room + 1 : 0, end = rect_end(r);
    for (int i = top; i < rows(o) && i - top < room; i++) {
        int y = r.y + i - top;
        if (i) {
            draw_param(a, g, r, y, i - 1);
            continue;
        }
        if (here) cells_text(g, r.x, y, end, look(a, STYLE_NEXT), "\u25B8");
        cells_text(g, r.x + 2, y, end, look(a, here ? STYLE_STRONG : STYLE_PLAIN), "policy");
        cells_printf(g, r.x + 2 + NAME_WIDTH, y, end, look(a, STYLE_STRONG), "%s%s", o->policy->name,
                     here ? "  \u2190\u2192" : "");
    }
    const char *help = here ? o->policy->help : o->params.defs[o->row - 1]->help;
    int y = r.y + r.h - 2, n = (int)strlen(help), cut = end - r.x;
    /* Two lines, parted at a space. */
    while (n > end - r.x && cut > 0 && help[cut] != ' ') cut--;
    if (n <= end - r.x) cut = n;
    cells_printf(g, r.x, y, end, look(a, STYLE_DIM), "%.*s", cut, help);
    if (cut < n) cells_text(g, r.x, y + 1, end, look(a, STYLE_DIM), help + cut + 1);
}

static const dialog_kind kind = {.title = "policy and parameters",
                                 .keys =
                                     "\u2191\u2193 row   \u2190\u2192 choose   Enter uses it from here on",
                                 .lines = lines,
                                 .width = 96,
                                 .press = press,
                                 .draw = draw};

unsigned app_form(app *a, int count) {
    pane *p = edit_pane(a);
    dialog *o = p ? dialog_open(a, &kind) : NULL;
    (void)count;
    if (!o) return APP_REDRAW;
    step_setting s = intervene_current(&p->own, p->state);
    o->policy = policy_find(s.policy);
    o->params = s.params;
    show_value(o);
    return APP_REDRAW;
}
