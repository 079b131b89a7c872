/* panes.c - two panes' steps with their passes in one forward, beside one after the other, taking turns.
 *
 *     build/tests/bench_panes MODEL [TOKENS [MASKS [THREADS]]]
 *
 * Two lines. `forwards`: two canvases of one start that part step by step (one is written from the left, the
 * other from the right), kept for a backward through the masks, as two forwards and as one of two sequences;
 * on every processor, whether or not the workbench would do it there. `steps`: what the workbench's lane does
 * for confidence beside boe, with and without sessions_prepare; the same twice where rows of products are not
 * exact, and said so. Medians over the steps, and their ratio; every pair of times is taken in turns.
 */
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/clock.h"
#include "engine/base/mem.h"
#include "engine/engine.h"
#include "engine/shared_pass.h"

enum { MOST = 4096, STEPS = 25, REPEATS = 3, SECONDS = 20 }; /* as many steps as fit, at least three */

typedef struct bench {
    denoiser *d;
    double begin;
    int32_t start[MOST];
    int n, n_masks;
    double apart[STEPS * REPEATS], together[STEPS * REPEATS];
    int n_times;
} bench;

static void must(int rc, const err *e) {
    if (!rc) return;
    fprintf(stderr, "bench_panes: %s\n", e->msg);
    exit(1);
}

static int by_value(const void *a, const void *b) {
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double median(double *v, int n) {
    qsort(v, (size_t)n, sizeof *v, by_value);
    return v[n / 2];
}

/* More of what was begun? */
static bool goes_on(const bench *b) {
    return b->n_times < STEPS * REPEATS && (b->n_times < 3 || clock_now() - b->begin < SECONDS);
}

static void report(bench *b, const char *what, const char *note) {
    double x = median(b->apart, b->n_times), y = median(b->together, b->n_times);
    printf("%-9s %5d tokens %5d masks %2d threads   apart %8.2f ms   together %8.2f ms   %.2f%s\n", what,
           b->n, b->n_masks, kernels_threads(), x * 1e3, y * 1e3, y / x, note);
    b->n_times = 0;
}

static void lay_out(bench *b, int n, int n_masks) {
    const denoiser_info *info = denoiser_get_info(b->d);
    if (n > info->max_len) n = info->max_len;
    if (n_masks >= n) n_masks = n - 1;
    if (n > MOST || n_masks < STEPS) exit(2);
    b->n = n, b->n_masks = n_masks;
    for (int i = 0; i < n; i++) b->start[i] = i < n - n_masks ? (7 * i + 3) % info->mask_id : info->mask_id;
}

/* ---- forwards ---- */

/* The canvas of pane 0 or 1 after so many steps, and the rows that its policy asks for. */
static int at_step(const bench *b, int pane, int step, int32_t *tokens, row_ref *rows) {
    int n = 0, first = b->n - b->n_masks;
    for (int i = 0; i < b->n; i++) {
        int order = i < first ? -1 : pane ? b->n - 1 - i : i - first;
        tokens[i] = order >= step || order < 0 ? b->start[i] : 5;
        if (order >= step) rows[n++] = (row_ref){pane, i};
    }
    return n;
}

static double time_forward(bench *b, const sequence *s, int n_seqs, const row_ref *rows, int n, pass *p) {
    forward_req q = {
        .seqs = s, .n_seqs = n_seqs, .rows = rows, .n_rows = n, .keep = true, .keep_asked = true};
    err e = {0};
    double begin = clock_now();
    must(denoiser_forward(b->d, &q, p, &e), &e);
    return clock_now() - begin;
}

static void forwards(bench *b) {
    static int32_t tokens[2][MOST];
    static row_ref rows[2 * MOST];
    pass *alone = pass_new(), *both = pass_new();
    b->begin = clock_now();
    for (int i = -1; goes_on(b); i++) { /* the first time is not counted */
        int step = i < 0 ? 0 : i % STEPS, n0 = at_step(b, 0, step, tokens[0], rows);
        int n1 = at_step(b, 1, step, tokens[1], rows + n0);
        sequence s[2] = {{tokens[0], b->n}, {tokens[1], b->n}};
        double together = time_forward(b, s, 2, rows, n0 + n1, both);
        double apart = time_forward(b, s, 1, rows, n0, alone);
        for (int r = 0; r < n1; r++) rows[n0 + r].seq = 0;
        apart += time_forward(b, s + 1, 1, rows + n0, n1, alone);
        if (i >= 0) b->together[b->n_times] = together, b->apart[b->n_times++] = apart;
    }
    pass_free(alone);
    pass_free(both);
    report(b, "forwards", "");
}

/* ---- steps ---- */

typedef struct panes {
    shared_pass *shared;
    session *s[2];
} panes;

static panes open_panes(bench *b) {
    static const char *const names[2] = {"confidence", "boe"};
    panes p = {.shared = shared_pass_new()};
    err e = {0};
    for (int i = 0; i < 2; i++) {
        session_opts o = {.prompt = b->start, .n_prompt = b->n, .policy = policy_find(names[i])};
        o.observe_tis = true, o.shared = p.shared;
        policy_defaults(o.policy, NULL, &o.params);
        must(session_open(&p.s[i], b->d, &o, &e), &e);
    }
    return p;
}

static double time_step(panes *p, bool prepared) {
    err e = {0};
    const step_record *r[2];
    double begin = clock_now();
    if (prepared) sessions_prepare(p->s, 2);
    for (int i = 0; i < 2; i++) must(session_propose(p->s[i], &r[i], &e), &e);
    double t = clock_now() - begin;
    for (int i = 0; i < 2; i++) {
        must(session_commit(p->s[i], r[i], &e), &e);
        record_unref(r[i]);
    }
    return t;
}

static void steps(bench *b) {
    int64_t batches = 0;
    b->begin = clock_now();
    while (goes_on(b)) {
        panes apart = open_panes(b), together = open_panes(b);
        for (int i = 0; i < STEPS && goes_on(b); i++) {
            b->apart[b->n_times] = time_step(&apart, false);
            b->together[b->n_times++] = time_step(&together, true);
        }
        batches += shared_pass_batches(together.shared);
        for (int i = 0; i < 2; i++) session_close(apart.s[i]), session_close(together.s[i]);
        shared_pass_free(apart.shared), shared_pass_free(together.shared);
    }
    char note[64];
    snprintf(note, sizeof note, "   (%lld of %d steps together)", (long long)batches, b->n_times);
    report(b, "steps", note);
}

int main(int argc, char **argv) {
    static bench b;
    err e = {0};
    if (argc < 2) return 2;
    if (argc > 4) kernels_set_threads((int)strtol(argv[4], NULL, 10));
    must(denoiser_load(&b.d, argv[1], NULL, &e), &e);
    lay_out(&b, argc > 2 ? (int)strtol(argv[2], NULL, 10) : 128,
            argc > 3 ? (int)strtol(argv[3], NULL, 10) : 64);
    forwards(&b);
    steps(&b);
    denoiser_close(b.d);
    return 0;
}
