/* sudoku.c - grids of 9x9 (generated, or read) and 4x4 (read), as rows with a newline between them.
 *
 * A puzzle is a full grid with cells taken out in random order for as long as the solution stays the only
 * one. The check is of the rules: any full grid that keeps the clues is right, so a puzzle with several
 * solutions is not held against a model that found another one than the file. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval/data.h"

enum { MAX_SIDE = 9, MAX_CELLS = 81, TRIES = 200 };

/* A search: which values are taken in each row, column and box, as bits. */
typedef struct grid {
    int side, box, cells;
    int v[MAX_CELLS]; /* 0: blank */
    unsigned rows[MAX_SIDE], cols[MAX_SIDE], boxes[MAX_SIDE];
    draws *draws; /* order in which values are tried; NULL: ascending */
    int found, limit;
    int first[MAX_CELLS]; /* the first solution found */
} grid;

static int box_of(const grid *g, int i) {
    return i / g->side / g->box * g->box + i % g->side / g->box;
}

static void flip(grid *g, int i, int value) {
    unsigned bit = 1u << (value - 1);
    g->rows[i / g->side] ^= bit;
    g->cols[i % g->side] ^= bit;
    g->boxes[box_of(g, i)] ^= bit;
}

static unsigned free_values(const grid *g, int i) {
    unsigned full = (1u << g->side) - 1;
    return full & ~(g->rows[i / g->side] | g->cols[i % g->side] | g->boxes[box_of(g, i)]);
}

/* Lays out cells; false where they break a rule. */
static bool grid_init(grid *g, int side, const int *cells) {
    *g = (grid){.side = side, .box = side == 9 ? 3 : 2, .cells = side * side, .limit = 1};
    for (int i = 0; i < g->cells; i++) {
        g->v[i] = cells[i];
        if (!cells[i]) continue;
        if (!(free_values(g, i) >> (cells[i] - 1) & 1)) return false;
        flip(g, i, cells[i]);
    }
    return true;
}

/* The blank cell with the fewest values left, or -1; *values gets them. */
static int tightest(const grid *g, unsigned *values) {
    int best = -1, fewest = MAX_SIDE + 1;
    for (int i = 0; i < g->cells; i++) {
        if (g->v[i]) continue;
        unsigned free = free_values(g, i);
        int n = __builtin_popcount(free);
        if (n >= fewest) continue;
        best = i;
        fewest = n;
        *values = free;
        if (n < 2) break;
    }
    return best;
}

static void shuffle(int *a, int n, draws *d) {
    for (int i = n - 1; i > 0; i--) {
        int j = draw_below(d, i + 1), t = a[i];
        a[i] = a[j];
        a[j] = t;
    }
}

/* Counts completions up to the limit, depth first. */
static void search(grid *g) {
    unsigned values = 0;
    int i = tightest(g, &values);
    if (i < 0) {
        if (!g->found++) memcpy(g->first, g->v, sizeof g->first);
        return;
    }
    int order[MAX_SIDE], n = 0;
    for (int v = 1; v <= g->side; v++) {
        if (values >> (v - 1) & 1) order[n++] = v;
    }
    if (g->draws) shuffle(order, n, g->draws);
    for (int k = 0; k < n && g->found < g->limit; k++) {
        g->v[i] = order[k];
        flip(g, i, order[k]);
        search(g);
        flip(g, i, order[k]);
    }
    g->v[i] = 0;
}

static bool is_unique(const int *cells) {
    grid g;
    if (!grid_init(&g, 9, cells)) return false;
    g.limit = 2;
    search(&g);
    return g.found == 1;
}

/* Takes cells out of a full grid until `clues` are left; returns how many are. */
static int take_out(int *cells, int clues, draws *d) {
    int order[MAX_CELLS], left = MAX_CELLS;
    for (int i = 0; i < MAX_CELLS; i++) order[i] = i;
    shuffle(order, MAX_CELLS, d);
    for (int k = 0; k < MAX_CELLS && left > clues; k++) {
        int value = cells[order[k]];
        cells[order[k]] = 0;
        if (is_unique(cells)) {
            left--;
        } else {
            cells[order[k]] = value;
        }
    }
    return left;
}

/* Text ----------------------------------------------------------------- */

static void put_grid(strbuf *b, const int *cells, int side, const char *blank) {
    for (int i = 0; i < side * side; i++) {
        if (i && i % side == 0) strbuf_putc(b, '\n');
        if (cells[i]) {
            strbuf_putc(b, (char)('0' + cells[i]));
        } else {
            strbuf_puts(b, blank);
        }
    }
}

static int add_puzzle(example_set *s, const char *id, const int *cells, int side, err *e) {
    strbuf prompt, answer;
    strbuf_init(&prompt, 4096);
    strbuf_init(&answer, 4096);
    put_grid(&prompt, cells, side, "<mask>");
    put_grid(&answer, cells, side, "0");
    int rc = example_add(s, id, prompt.data, answer.data, e);
    strbuf_release(&prompt);
    strbuf_release(&answer);
    return rc;
}

static int generate_one(example_set *s, int index, int clues, err *e) {
    draws d = {.seed = 9, .example = (uint64_t)index};
    for (int try = 0; try < TRIES; try++) {
        static const int blank[MAX_CELLS];
        grid g;
        if (!grid_init(&g, 9, blank)) break;
        g.draws = &d;
        search(&g);
        if (take_out(g.first, clues, &d) > clues) continue;
        char id[32];
        snprintf(id, sizeof id, "sudoku-%d-%d", clues, index);
        return add_puzzle(s, id, g.first, 9, e);
    }
    return err_set(e, ERR_BAD_ARGUMENT, "no puzzle with %d clues and a single solution found", clues);
}

static int generate(example_set *s, const task_opts *o, err *e) {
    int rc = 0, clues = o->clues ? o->clues : SUDOKU_CLUES;
    for (int i = 0; i < o->n && !rc; i++) rc = generate_one(s, i, clues, e);
    return rc;
}

/* Files ---------------------------------------------------------------- */

/* Digits of a grid as text; its side, or 0 when it is none. */
static int parse_cells(span t, int *cells) {
    int side = t.n == 81 ? 9 : t.n == 16 ? 4 : 0;
    for (size_t i = 0; side && i < t.n; i++) {
        char c = t.s[i] == '.' ? '0' : t.s[i];
        if (c < '0' || c > '0' + side) return 0;
        cells[i] = c - '0';
    }
    return side;
}

/* "Puzzle,Solution": digits row by row, 0 for a blank. */
static int take_row(example_set *s, span row, int index, err *e) {
    span puzzle = span_before(row, ",");
    int cells[MAX_CELLS], solution[MAX_CELLS], side = parse_cells(puzzle, cells);
    grid g;
    if (!side)
        return err_set(e, ERR_BAD_FORMAT, "expected 16 or 81 digits, a comma and the solution, found '%.*s'",
                       (int)(row.n < 40 ? row.n : 40), row.s);
    if (!grid_init(&g, side, cells)) return err_set(e, ERR_BAD_FORMAT, "the clues break a rule of Sudoku");
    if (puzzle.n == row.n ||
        parse_cells((span){row.s + puzzle.n + 1, row.n - puzzle.n - 1}, solution) != side)
        return err_set(e, ERR_BAD_FORMAT, "no solution of the same size after the comma");
    if (!memchr(puzzle.s, '0', puzzle.n) && !memchr(puzzle.s, '.', puzzle.n))
        return err_set(e, ERR_BAD_FORMAT, "the puzzle has no blanks");
    char id[32];
    snprintf(id, sizeof id, "row-%d", index + 1);
    return add_puzzle(s, id, cells, side, e);
}

static int load(example_set *s, const char *text, size_t n, int max, err *e) {
    const char *end = text + n;
    int index = 0;
    for (int line = 1; text < end && (!max || index < max); line++) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        span row = span_trim((span){text, (size_t)((stop ? stop : end) - text)});
        bool head = line == 1 && row.n && (row.s[0] < '0' || row.s[0] > '9') && row.s[0] != '.';
        int rc = row.n && !head ? take_row(s, row, index++, e) : 0;
        if (rc) return err_prefix(e, "line %d", line);
        text = stop ? stop + 1 : end;
    }
    return 0;
}

/* Checking ------------------------------------------------------------- */

/* The cells of a text: digits, with any blanks and newlines between them. */
static int read_grid(span t, int *cells) {
    char digits[MAX_CELLS];
    size_t n = 0;
    for (size_t i = 0; i < t.n; i++) {
        if (t.s[i] == '\n' || t.s[i] == ' ') continue;
        if (n == sizeof digits) return 0;
        digits[n++] = t.s[i];
    }
    return parse_cells((span){digits, n}, cells);
}

static verdict check(const example *x, const char *text, size_t n) {
    int clues[MAX_CELLS], cells[MAX_CELLS];
    grid g;
    int side = read_grid((span){x->answer, strlen(x->answer)}, clues);
    if (!side || read_grid((span){text, n}, cells) != side) return VERDICT_WRONG;
    for (int i = 0; i < side * side; i++) {
        if (!cells[i] || (clues[i] && clues[i] != cells[i])) return VERDICT_WRONG;
    }
    return grid_init(&g, side, cells) ? VERDICT_RIGHT : VERDICT_WRONG;
}

const task task_sudoku = {
    .name = "sudoku",
    .summary = "9x9 puzzles with one solution, or a CSV file of 4x4 or 9x9 ones",
    .whole = true,
    .generate = generate,
    .load = load,
    .check = check,
};
