/* verifier.c - see the header. */
#include "engine/verifier.h"

#include <string.h>

enum { MOST_CELLS = 81, LINE = 96 };

/* The text of a token, or NULL for none, the mask and special ones. */
static const char *text_of(token_texts texts, int32_t id, int32_t mask, size_t *len) {
    bool special = false;
    const char *s = id == mask || !texts.text ? NULL : texts.text(texts.ctx, id, len, &special);
    return special ? NULL : s;
}

/* 1 to 9, or 0 when the token is no digit. */
static int digit_of(token_texts texts, int32_t id, int32_t mask) {
    size_t len = 0;
    const char *s = text_of(texts, id, mask, &len);
    return s && len == 1 && s[0] >= '1' && s[0] <= '9' ? s[0] - '0' : 0;
}

/* ---- Sudoku ---- */

/* Positions of the cells in reading order: 81 or 16 of them, or 0 when there is no grid. */
static int find_cells(token_texts texts, const int32_t *tokens, int n, int32_t mask, int *cells) {
    int count = 0;
    for (int i = 0; i < n; i++) {
        if (tokens[i] != mask && !digit_of(texts, tokens[i], mask)) continue;
        if (count == MOST_CELLS) return 0;
        cells[count++] = i;
    }
    return count == 81 || count == 16 ? count : 0;
}

static int verify_sudoku(token_texts texts, const int32_t *tokens, int n, int32_t mask, int pos,
                         int32_t token) {
    int cells[MOST_CELLS], count = find_cells(texts, tokens, n, mask, cells), cell = 0;
    int side = count == 81 ? 9 : 4, box = count == 81 ? 3 : 2, digit = digit_of(texts, token, mask);
    while (cell < count && cells[cell] != pos) cell++;
    if (!count || cell == count) return 0;
    if (!digit || digit > side) return -1;
    int row = cell / side, col = cell % side;
    for (int k = 0; k < count; k++) {
        int r = k / side, c = k % side;
        bool seen = r == row || c == col || (r / box == row / box && c / box == col / box);
        if (k != cell && seen && digit_of(texts, tokens[cells[k]], mask) == digit) return -1;
    }
    return 0;
}

/* ---- arithmetic ---- */

static bool in_equation(const char *s, size_t len) {
    return s && len && strspn(s, "0123456789+-*/= ") >= len;
}

/* The characters around a token that can belong to an equation. */
typedef struct stretch {
    char line[LINE];
    size_t used, from, to; /* the token's own characters are [from, to) */
    bool open[2];          /* a mask stands before, or behind: a number there may grow */
} stretch;

static void gather(stretch *t, token_texts texts, const int32_t *tokens, int n, int32_t mask, int pos,
                   int32_t token) {
    size_t len = 0;
    int first = pos, i;
    const char *s = text_of(texts, token, mask, &len);
    *t = (stretch){.used = 0};
    if (!in_equation(s, len)) return;
    for (; first > 0 && pos - first < LINE / 4; first--) {
        const char *before = text_of(texts, tokens[first - 1], mask, &len);
        if (!in_equation(before, len)) break;
    }
    for (i = first; i < n; i++) {
        s = text_of(texts, i == pos ? token : tokens[i], mask, &len);
        if (!in_equation(s, len) || t->used + len >= LINE) break;
        if (i == pos) t->from = t->used;
        memcpy(t->line + t->used, s, len);
        t->used += len;
        if (i == pos) t->to = t->used;
    }
    t->open[0] = first > 0 && tokens[first - 1] == mask;
    t->open[1] = i < n && tokens[i] == mask;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_operator(char c) {
    return c && strchr("+-*/", c);
}

static void skip_blanks(const char **s) {
    while (**s == ' ') (*s)++;
}

static bool number(const char **s, long *out) {
    skip_blanks(s);
    int digits = 0;
    for (*out = 0; is_digit(**s) && digits < 9; (*s)++, digits++) *out = 10 * *out + (**s - '0');
    bool whole = digits && !is_digit(**s);
    skip_blanks(s);
    return whole;
}

/* "a op b = c" at *s: 1 right, -1 wrong, 0 none or one whose right side goes on; *s is behind it. */
static int equation(const char **s) {
    long a, b, c, value;
    if (!number(s, &a) || !is_operator(**s)) return 0;
    char op = *(*s)++;
    if (!number(s, &b) || **s != '=') return 0;
    (*s)++;
    if (!number(s, &c) || is_operator(**s)) return 0;
    value = op == '+' ? a + b : op == '-' ? a - b : a * b;
    bool holds = op == '/' ? b && a == b * c : value == c;
    return holds ? 1 : -1;
}

/* The equation that the token is part of, if its first and last numbers cannot grow any more and it is no
 * part of a longer sum: "3+4=9" says nothing in "2+3+4=9". */
static int verify_arithmetic(token_texts texts, const int32_t *tokens, int n, int32_t mask, int pos,
                             int32_t token) {
    stretch t;
    gather(&t, texts, tokens, n, mask, pos, token);
    for (const char *s = t.line; *s;) {
        const char *start = s;
        int verdict = equation(&s);
        size_t begin = (size_t)(start - t.line), end = (size_t)(s - t.line);
        bool whole = begin ? !is_digit(start[-1]) && !is_operator(start[-1]) : !t.open[0];
        bool grows = end == t.used && t.open[1];
        if (verdict && t.from < end && t.to > begin && whole && !grows) return verdict;
        if (!verdict || s == start) s = start + 1;
    }
    return 0;
}

int verify_token(verify_rules v, token_texts texts, const int32_t *tokens, int n, int32_t mask, int pos,
                 int32_t token) {
    int cells[MOST_CELLS];
    if (!texts.text) return 0;
    bool grid = v == VERIFY_SUDOKU || (v == VERIFY_AUTO && find_cells(texts, tokens, n, mask, cells));
    return (grid ? verify_sudoku : verify_arithmetic)(texts, tokens, n, mask, pos, token);
}
