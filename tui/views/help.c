/* help.c - the overlay of all keys, made from the table of bindings, and of the timeline's signs. */
#include "tui/keys.h"
#include "tui/view.h"

enum { LABEL_WIDTH = 15, ENTRY_WIDTH = 57, MAX_LINES = 160 };

/* A line of the list: a title, a binding, a sign, or air. */
typedef struct help_line {
    const char *title;
    const binding *b;
    const timeline_sign *sign;
} help_line;

static int list_lines(help_line *out) {
    int n = 0;
    for (int group = 0; group < N_GROUPS; group++) {
        if (n) out[n++] = (help_line){0};
        out[n++] = (help_line){.title = key_group_title((key_group)group)};
        for (int i = 0; i < n_bindings && n < MAX_LINES - 16; i++) {
            if ((int)bindings[i].group == group) out[n++] = (help_line){.b = &bindings[i]};
        }
    }
    out[n++] = (help_line){0};
    out[n++] = (help_line){.title = "signs on the timeline"};
    for (int i = 0; timeline_signs[i].sign && n < MAX_LINES; i++)
        out[n++] = (help_line){.sign = &timeline_signs[i]};
    return n;
}

static void draw_line(const app *a, const help_line *l, cells *g, int x, int y, int end) {
    char label[48];
    if (l->title) {
        cells_text(g, x, y, end, look(a, STYLE_RUN_A), l->title);
    } else if (l->sign) {
        cells_text(g, x + 1, y, end, look(a, STYLE_KEY), l->sign->sign);
        cells_text(g, x + LABEL_WIDTH, y, end, look(a, STYLE_PLAIN), l->sign->meaning);
    } else if (l->b) {
        cells_text(g, x + 1, y, end, look(a, STYLE_KEY), binding_label(l->b, label, sizeof label));
        cells_text(g, x + LABEL_WIDTH, y, end, look(a, STYLE_PLAIN), l->b->help);
    }
}

static void draw_frame(const app *a, cells *g, rect r) {
    style dim = look(a, STYLE_DIM);
    cells_fill(g, r, look(a, STYLE_PLAIN));
    cells_repeat(g, r.x, r.y, r.w, 0x2500, dim);
    cells_repeat(g, r.x, r.y + r.h - 1, r.w, 0x2500, dim);
    cells_text(g, r.x + 2, r.y, rect_end(r), look(a, STYLE_TITLE), " keys ");
    cells_text(g, r.x + 2, r.y + r.h - 1, rect_end(r), dim,
               " j k scroll   Esc closes   a number before a key repeats it ");
}

static void draw(const app *a, int i, cells *g, rect r) {
    (void)i;
    help_line lines[MAX_LINES];
    int n = list_lines(lines), columns = r.w >= 2 * ENTRY_WIDTH + 4 ? 2 : 1;
    int per_column = (n + columns - 1) / columns;
    rect box = {.w = columns * ENTRY_WIDTH + 4, .h = per_column + 4};
    if (box.h > r.h) box.h = r.h;
    box.x = r.x + (r.w - box.w) / 2;
    box.y = r.y + (r.h - box.h) / 2;
    draw_frame(a, g, box);
    int room = box.h - 4, most = per_column > room ? per_column - room : 0;
    int top = a->help_scroll < most ? a->help_scroll : most;
    for (int c = 0; c < columns; c++) {
        int x = box.x + 2 + c * ENTRY_WIDTH;
        for (int y = 0; y < room && y + top < per_column && c * per_column + y + top < n; y++) {
            draw_line(a, &lines[c * per_column + y + top], g, x, box.y + 2 + y, x + ENTRY_WIDTH - 1);
        }
    }
    if (top < most)
        cells_text(g, rect_end(box) - 8, box.y + box.h - 1, rect_end(box), look(a, STYLE_DIM),
                   " more \u2193");
}

const view view_help = {"help", draw};
