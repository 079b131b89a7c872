/* decode_time.c - steps of greedy and BoE decodes at chosen numbers of masks. */
#include "bench/decode_time.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/mem.h"
#include "engine/base/rng.h"

const double bench_rhos[BENCH_KINDS] = {0, 0.25, 0.5, 0.1};

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_median(double *v, int n) {
    qsort(v, (size_t)n, sizeof *v, ascending);
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static double median_of(const double *v, int n) {
    double copy[MOST_REPEATS];
    memcpy(copy, v, (size_t)n * sizeof *v);
    return bench_median(copy, n);
}

/* ---- opening ---- */

/* Both ends first: they are enough for an estimate. */
static void choose_points(decode_time *t) {
    int m = t->masks;
    const int wanted[BENCH_POINTS] = {m, 1, m / 2, m / 4, m - m / 4};
    for (int i = 0; i < BENCH_POINTS; i++) {
        bool new = wanted[i] >= 1;
        for (int j = 0; j < t->n_points; j++) new = new && t->points[j] != wanted[i];
        if (new) t->points[t->n_points++] = wanted[i];
    }
}

static void choose_settings(decode_time *t, const model_tuning *tuning) {
    for (int i = 0; i < BENCH_KINDS; i++) {
        const policy *p = policy_find(bench_rhos[i] > 0 ? "boe" : "confidence");
        step_setting *s = &t->settings[i];
        *s = (step_setting){.T = t->masks};
        memcpy(s->policy, p->name, strlen(p->name) + 1);
        policy_defaults(p, tuning, &s->params);
        int rho = param_find(&s->params, "rho");
        if (rho >= 0) s->params.v[rho] = bench_rhos[i];
    }
}

static int32_t random_token(const denoiser_info *i, int pos) {
    uint64_t bits = rng_bits(1, 0, (uint64_t)pos, 0, RNG_TOKEN);
    int32_t id = (int32_t)(bits % (uint64_t)(i->n_vocab - 1)); /* of all but the mask */
    return id + (id >= i->mask_id);
}

static void shuffle(int *order, int n) {
    for (int i = n - 1; i > 0; i--) {
        int j = (int)(rng_bits(1, 0, (uint64_t)i, 0, RNG_POSITION) % (uint64_t)(i + 1)), swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
}

int decode_time_open(decode_time *t, denoiser *d, const model_tuning *tuning, int n,
                     const atomic_bool *cancel, err *e) {
    const denoiser_info *info = denoiser_get_info(d);
    *t = (decode_time){.n = n, .masks = n - n / 2, .info = info};
    choose_points(t);
    choose_settings(t, tuning);
    t->tokens = mem_new((size_t)n, sizeof *t->tokens);
    t->order = mem_new((size_t)t->masks, sizeof *t->order);
    if (!t->tokens || !t->order) return err_set(e, ERR_NO_MEMORY, "out of memory for %d positions", n);
    for (int i = 0; i < n / 2; i++) t->tokens[i] = random_token(info, i);
    for (int i = 0; i < t->masks; i++) t->order[i] = n / 2 + i;
    shuffle(t->order, t->masks);
    return session_open(&t->s, d,
                        &(session_opts){.prompt = t->tokens,
                                        .n_prompt = n / 2,
                                        .length = t->masks,
                                        .policy = policy_find("confidence"),
                                        .params = t->settings[0].params,
                                        .cancel = cancel},
                        e);
}

void decode_time_close(decode_time *t) {
    session_close(t->s);
    free(t->tokens);
    free(t->order);
    *t = (decode_time){0};
}

/* ---- steps ---- */

static int seek(decode_time *t, int kind, int masked, err *e) {
    int written = t->masks - masked;
    for (int i = 0; i < t->masks; i++) {
        int pos = t->order[i];
        t->tokens[pos] = i < written ? random_token(t->info, pos) : t->info->mask_id;
    }
    const session_state to = {
        .tokens = t->tokens, .n = t->n, .k = written, .decoded = written, .setting = &t->settings[kind]};
    return session_seek(t->s, &to, e);
}

int decode_time_step(decode_time *t, int kind, int masked, double *ms, err *e) {
    const step_record *r = NULL;
    int rc = seek(t, kind, masked, e);
    double begin = clock_now();
    if (!rc) rc = session_propose(t->s, &r, e);
    *ms = (clock_now() - begin) * 1e3;
    record_unref(r);
    return rc;
}

/* Every kind at point p, another one first each time: the first meets a state that is new to the caches. */
static int sample_point(decode_time *t, int p, err *e) {
    double begin = clock_now(), ms;
    int rc = 0, turn = t->repeats[0][p];
    for (int i = 0; i < BENCH_KINDS && !rc; i++) {
        int k = (turn + i) % BENCH_KINDS;
        rc = decode_time_step(t, k, t->points[p], &ms, e);
        if (!rc) t->ms[k][p][t->repeats[k][p]++] = ms;
    }
    t->point_seconds = clock_now() - begin;
    return rc;
}

static int least_sampled(const decode_time *t) {
    int best = 0;
    for (int p = 1; p < t->n_points; p++) {
        if (t->repeats[0][p] < t->repeats[0][best]) best = p;
    }
    return best;
}

int decode_time_round(decode_time *t, double deadline, err *e) {
    int rc = 0;
    for (int i = 0; i < t->n_points && !rc; i++) {
        int p = least_sampled(t);
        bool needed = p < 2 && !t->repeats[0][p]; /* both ends are always measured */
        if (t->repeats[0][p] == MOST_REPEATS) return 0;
        if (!needed && clock_now() + t->point_seconds > deadline) return 0;
        rc = sample_point(t, p, e);
    }
    return rc;
}

/* ---- decodes ---- */

static int whole(decode_time *t, int kind, double *seconds, err *e) {
    int rc = seek(t, kind, t->masks, e);
    double begin = clock_now();
    while (!rc && !session_done(t->s)) {
        const step_record *r = NULL;
        rc = session_propose(t->s, &r, e);
        if (!rc && r) rc = session_commit(t->s, r, e);
        record_unref(r);
    }
    *seconds = clock_now() - begin;
    return rc;
}

int decode_time_whole(decode_time *t, err *e) {
    int rc = 0;
    for (int k = 0; k < BENCH_KINDS && !rc; k++) rc = whole(t, k, &t->whole[k][t->wholes], e);
    if (!rc) t->wholes++;
    return rc;
}

typedef struct sample {
    int masked;
    double ms;
} sample;

static int by_masks(const void *a, const void *b) {
    return ((const sample *)a)->masked - ((const sample *)b)->masked;
}

static int samples_of(const decode_time *t, int kind, sample out[BENCH_POINTS]) {
    int n = 0;
    for (int p = 0; p < t->n_points; p++) {
        if (!t->repeats[kind][p]) continue;
        out[n++] = (sample){t->points[p], median_of(t->ms[kind][p], t->repeats[kind][p])};
    }
    qsort(out, (size_t)n, sizeof *out, by_masks);
    return n;
}

double decode_time_estimate(const decode_time *t, int kind) {
    sample s[BENCH_POINTS];
    int n = samples_of(t, kind, s), at = 0;
    double ms = 0;
    for (int m = 1; m <= t->masks && n; m++) {
        while (at + 1 < n - 1 && m > s[at + 1].masked) at++;
        const sample *a = &s[at], *b = &s[at + 1 < n ? at + 1 : at];
        double share = b->masked > a->masked ? (double)(m - a->masked) / (b->masked - a->masked) : 0;
        ms += a->ms + share * (b->ms - a->ms);
    }
    return ms / 1e3;
}

double decode_time_estimate_all(const decode_time *t) {
    double sum = 0;
    for (int k = 0; k < BENCH_KINDS; k++) sum += decode_time_estimate(t, k);
    return sum;
}

/* ---- results ---- */

static double decode_seconds(const decode_time *t, int kind) {
    return t->wholes ? median_of(t->whole[kind], t->wholes) : decode_time_estimate(t, kind);
}

static void report_kind(const decode_time *t, int kind, bench_result *r) {
    sample s[BENCH_POINTS];
    int n = samples_of(t, kind, s);
    for (int i = n - 1; i >= 0; i--) {
        int p = 0;
        while (t->points[p] != s[i].masked) p++;
        r->steps[r->n_steps++] =
            (bench_step){t->n, s[i].masked, bench_rhos[kind], s[i].ms, t->repeats[kind][p]};
    }
    bench_decode *d = &r->decodes[r->n_decodes++];
    *d = (bench_decode){.n = t->n, .rho = bench_rhos[kind], .steps = t->masks};
    d->seconds = decode_seconds(t, kind);
    d->ratio = d->seconds / decode_seconds(t, 0);
    d->extrapolated = !t->wholes;
    d->sampled_steps = t->wholes ? t->masks : n;
}

/* By growing rho. */
void decode_time_report(const decode_time *t, bench_result *r) {
    static const int order[BENCH_KINDS] = {0, 3, 1, 2};
    for (int i = 0; i < BENCH_KINDS; i++) {
        if (t->repeats[order[i]][0]) report_kind(t, order[i], r);
    }
}
