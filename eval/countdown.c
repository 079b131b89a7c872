/* countdown.c - reach a target from three numbers, each used once.
 *
 * An answer is a derivation such as "44-15=29,79-29=50". Any valid one counts: every step must use two
 * numbers that are there and not used up, give its true result, and leave the target as the only number at
 * the end. Results are whole numbers and may be negative on the way; a division must come out even. */
#include <stdlib.h>
#include <string.h>

#include "eval/data.h"

enum { NUMBERS = 3, HIGHEST = 99, LOW_TARGET = 10, HIGH_TARGET = 100, MAX_NUMBERS = 8 };
static const long LIMIT = 1000000000;

/* Whole numbers separated by commas: how many, or 0 when the text is something else. */
static int parse_numbers(const char *text, long *out, int max) {
    int n = 0;
    for (char *end; n < max; text = end + 1) {
        out[n] = strtol(text, &end, 10);
        if (end == text || out[n] < 0 || out[n] > LIMIT) return 0;
        n++;
        if (!*end) return n;
        if (*end != ',') return 0;
    }
    return 0;
}

static int add(example_set *s, const char *id, const long *v, int n, err *e) {
    strbuf prompt, answer;
    strbuf_init(&prompt, 4096);
    strbuf_init(&answer, 4096);
    strbuf_puts(&prompt, "Reach the target with + - * /, using each number once.\n"
                         "Numbers 3,5,20. Target 35. Steps: 3*5=15,15+20=35\nNumbers ");
    for (int i = 0; i < n - 1; i++) strbuf_printf(&prompt, "%s%ld", i ? "," : "", v[i]);
    strbuf_printf(&prompt, ". Target %ld. Steps:", v[n - 1]);
    for (int i = 0; i < n; i++) strbuf_printf(&answer, "%s%ld", i ? "," : "", v[i]);
    int rc = example_add(s, id, prompt.data, answer.data, e);
    strbuf_release(&prompt);
    strbuf_release(&answer);
    return rc;
}

/* "15,44,79,50:", the notation of the public files and of the bundled model. */
static void brief(const example *x, strbuf *out) {
    strbuf_puts(out, x->answer);
    strbuf_putc(out, ':');
}

/* Generating ----------------------------------------------------------- */

static bool apply(char op, long a, long b, long *out) {
    if (op == '/' && (b == 0 || a % b != 0)) return false;
    *out = op == '+' ? a + b : op == '-' ? a - b : op == '*' ? a * b : a / b;
    return *out >= -LIMIT && *out <= LIMIT;
}

/* A random derivation over the numbers; false when it leaves the range of targets. */
static bool derive(draws *d, const long *numbers, long *target) {
    long left[NUMBERS];
    memcpy(left, numbers, sizeof left);
    for (int n = NUMBERS; n > 1; n--) {
        int i = draw_below(d, n);
        long a = left[i];
        left[i] = left[n - 1];
        int j = draw_below(d, n - 1);
        long result;
        if (!apply("+-*/"[draw_below(d, 4)], a, left[j], &result) || result < 1) return false;
        left[j] = result;
    }
    *target = left[0];
    return *target >= LOW_TARGET && *target <= HIGH_TARGET;
}

static int generate(example_set *s, const task_opts *o, err *e) {
    int rc = 0;
    for (int k = 0; k < o->n && !rc; k++) {
        draws d = {.seed = 3, .example = (uint64_t)k};
        long v[NUMBERS + 1];
        do {
            for (int i = 0; i < NUMBERS; i++) v[i] = 1 + draw_below(&d, HIGHEST);
        } while (!derive(&d, v, &v[NUMBERS]));
        char id[32];
        snprintf(id, sizeof id, "countdown-%d", k);
        rc = add(s, id, v, NUMBERS + 1, e);
    }
    return rc;
}

/* {"input": "15,44,79,50", ...}: the last number is the target. */
static int take(example_set *s, const cJSON *record, int index, err *e) {
    const char *input;
    int rc = data_string(record, "input", &input, e);
    if (rc) return rc;
    long v[MAX_NUMBERS];
    int n = parse_numbers(input, v, MAX_NUMBERS);
    if (n < 3)
        return err_set(e, ERR_BAD_FORMAT,
                       "\"input\" is '%.40s', expected numbers and a target such as 3,5,20,35", input);
    char id[32];
    snprintf(id, sizeof id, "line-%d", index + 1);
    return add(s, id, v, n, e);
}

static int load(example_set *s, const char *text, size_t n, int max, err *e) {
    return data_each_line(s, text, n, max, take, e);
}

/* Checking ------------------------------------------------------------- */

/* The numbers that may still be used. */
typedef struct pool {
    long v[MAX_NUMBERS];
    int n;
} pool;

static bool use(pool *p, long number) {
    for (int i = 0; i < p->n; i++) {
        if (p->v[i] != number) continue;
        p->v[i] = p->v[--p->n];
        return true;
    }
    return false;
}

static void skip_blanks(const char **s) {
    while (**s == ' ') (*s)++;
}

static bool read_number(const char **s, long *out) {
    char *end;
    skip_blanks(s);
    if ((*s)[0] != '-' && ((*s)[0] < '0' || (*s)[0] > '9')) return false;
    *out = strtol(*s, &end, 10);
    if (end == *s || *out > LIMIT || *out < -LIMIT) return false;
    *s = end;
    skip_blanks(s);
    return true;
}

/* "a+b=c" with a and b from the pool; c goes there. */
static bool read_step(const char **s, pool *p) {
    long a, b, c, result;
    if (!read_number(s, &a)) return false;
    char op = **s;
    if (!op || !strchr("+-*/", op)) return false;
    (*s)++;
    if (!read_number(s, &b) || **s != '=') return false;
    (*s)++;
    if (!read_number(s, &c)) return false;
    if (!use(p, a) || !use(p, b) || !apply(op, a, b, &result) || result != c) return false;
    p->v[p->n++] = c;
    return true;
}

static verdict check(const example *x, const char *text, size_t n) {
    char line[256];
    span t = span_trim(span_before(span_trim((span){text, n}), "\n"));
    if (t.n && t.s[t.n - 1] == '.') t.n--;
    if (t.n >= sizeof line || memchr(t.s, '\0', t.n)) return VERDICT_WRONG;
    memcpy(line, t.s, t.n);
    line[t.n] = '\0';
    pool p = {.n = 0};
    p.n = parse_numbers(x->answer, p.v, MAX_NUMBERS) - 1;
    if (p.n < 2) return VERDICT_WRONG;
    long target = p.v[p.n];
    const char *s = line;
    while (read_step(&s, &p)) {
        if (!*s) return p.n == 1 && p.v[0] == target ? VERDICT_RIGHT : VERDICT_WRONG;
        if (*s++ != ',') break;
    }
    return VERDICT_WRONG;
}

const task task_countdown = {
    .name = "countdown",
    .summary = "reach a target from three numbers; any valid derivation is right",
    .length = 32,
    .brief = brief,
    .brief_length = 14,
    .generate = generate,
    .load = load,
    .check = check,
};
