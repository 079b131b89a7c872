/* bench.c - shares the time out: phases of one step, then steps and decodes, and ceilings at the end,
 * so that their arrays are not in the peak of memory. */
#include "bench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench/decode_time.h"
#include "engine/base/clock.h"

/* The first length is the one that counts, and gets what a large model leaves. */
static const int lengths[BENCH_LENGTHS] = {256, 128, 512};

enum { PHASE_KIND = 1, WHOLE_REPEATS = 5 };
static const double PHASES_SHARE = 0.1, WHOLE_SHARE = 0.4, WARM_SHARE = 0.02,
                    ROUND_SHARE = 0.7;    /* of the time */
static const double CEILINGS_SECONDS = 4; /* about what they take */

typedef struct run {
    bench_result *r;
    model *m;
    const bench_opts *o;
    double begin, deadline;
    int n[BENCH_LENGTHS], n_lengths;
    decode_time times[BENCH_LENGTHS];
    int open;
} run;

/* ---- phases ---- */

typedef struct profile {
    phase_times times;
    double seconds;
} profile;

static int by_seconds(const void *a, const void *b) {
    double x = ((const profile *)a)->seconds, y = ((const profile *)b)->seconds;
    return (x > y) - (x < y);
}

static double larger(double a, double b) {
    return a > b ? a : b;
}

/* What is in no operation is choosing and what the host does around it. */
static void report_phases(bench_result *r, profile *p) {
    double inside = 0;
    for (int i = 0; i < N_PHASES; i++) inside += p->times.at[i].seconds;
    p->times.at[PHASE_SELECTION].seconds += larger(p->seconds - inside, 0);
    r->phases_seconds = larger(p->seconds, inside);
    for (int i = 0; i < N_PHASES; i++) {
        phase_time t = p->times.at[i];
        r->phases[i] = (bench_phase){phase_name((phase)i), t, t.seconds / r->phases_seconds, 0};
    }
}

static void compare_phases(bench_result *r) {
    for (int i = 0; i < N_PHASES; i++) {
        const phase_time *t = &r->phases[i].time;
        if (t->seconds <= 0) continue;
        double computing = t->flops / t->seconds / r->top.flops,
               moving = t->bytes / t->seconds / r->top.bytes;
        r->phases[i].of_ceiling = larger(computing, moving);
    }
}

static int profile_steps(run *b, decode_time *t, phase_times *times, err *e) {
    profile all[MOST_REPEATS];
    double ms, until = clock_now() + PHASES_SHARE * b->o->seconds;
    int n = 0, rc = decode_time_step(t, PHASE_KIND, t->masks, &ms, e); /* reads the weights, makes room */
    while (!rc && n < MOST_REPEATS && (!n || clock_now() + ms / 1e3 < until)) {
        memset(times, 0, sizeof *times);
        rc = decode_time_step(t, PHASE_KIND, t->masks, &ms, e);
        all[n++] = (profile){*times, ms / 1e3};
    }
    if (rc) return rc;
    qsort(all, (size_t)n, sizeof *all, by_seconds);
    b->r->phases_repeats = n;
    report_phases(b->r, &all[n / 2]);
    return 0;
}

static int measure_phases(run *b, err *e) {
    phase_times times = {0};
    denoiser *timed;
    decode_time t = {0};
    int rc = denoiser_fork_timed(&timed, b->m->d, &times, e);
    if (rc) return rc;
    rc = decode_time_open(&t, timed, &b->m->tuning, b->n[0], b->o->cancel, e);
    if (!rc) rc = profile_steps(b, &t, &times, e);
    b->r->phases_n = t.n;
    b->r->phases_masked = t.masks;
    b->r->phases_rho = bench_rhos[PHASE_KIND];
    b->r->serialised = denoiser_get_info(b->m->d)->overlaps;
    decode_time_close(&t);
    denoiser_close(timed);
    return rc;
}

/* ---- steps and decodes ---- */

static double left(const run *b) {
    return b->deadline - clock_now();
}

/* The first steps of a length make room and are not counted. The first length always stays, and leaves time
 * for others; those stay if most of a round of theirs fits. */
static int open_length(run *b, int n, err *e) {
    decode_time *t = &b->times[b->open++];
    double ms;
    int rc = decode_time_open(t, b->m->d, &b->m->tuning, n, b->o->cancel, e);
    if (!rc) rc = decode_time_step(t, 0, t->masks, &ms, e);
    if (rc) return rc;
    double round = BENCH_KINDS * BENCH_POINTS * ms / 1e3;
    if (b->open > 1 && ROUND_SHARE * round > left(b)) {
        decode_time_close(t);
        b->open--;
        return 0;
    }
    bool quick = ms / 1e3 < WARM_SHARE * b->o->seconds;
    if (quick) rc = decode_time_step(t, PHASE_KIND, t->masks, &ms, e);
    double until = b->open > 1 ? b->deadline : clock_now() + ROUND_SHARE * left(b);
    return rc ? rc : decode_time_round(t, until, e);
}

/* Whole decodes where they take a fair part of the time that is left. */
static int run_wholes(run *b, decode_time *t, err *e) {
    double one = decode_time_estimate_all(t), most = WHOLE_SHARE * left(b);
    int rc = 0;
    for (int i = 0; i < WHOLE_REPEATS && !rc && (i + 1) * one < most; i++) rc = decode_time_whole(t, e);
    return rc;
}

static int more_rounds(run *b, err *e) {
    int rc = 0;
    b->r->rounds = 1;
    while (!rc && b->r->rounds < MOST_REPEATS) {
        for (int i = 0; i < b->open && !rc; i++) {
            if (left(b) <= 0) return 0;
            rc = decode_time_round(&b->times[i], b->deadline, e);
        }
        b->r->rounds++;
    }
    return rc;
}

static int measure_decodes(run *b, err *e) {
    int rc = 0;
    for (int i = 0; i < b->n_lengths && !rc; i++) rc = open_length(b, b->n[i], e);
    for (int i = 0; i < b->open && !rc; i++) rc = run_wholes(b, &b->times[i], e);
    return rc ? rc : more_rounds(b, e);
}

/* ---- memory ---- */

static void measure_memory(run *b) {
    bench_result *r = b->r;
    struct rusage u;
    if (!getrusage(RUSAGE_SELF, &u)) r->peak = (size_t)u.ru_maxrss << 10;
    long pages = 0, page = sysconf(_SC_PAGESIZE);
    FILE *f = fopen("/proc/self/statm", "r");
    /* The kernel's own file. NOLINTNEXTLINE(cert-err34-c) */
    if (f && fscanf(f, "%*s %ld", &pages) == 1 && page > 0) r->resident = (size_t)pages * (size_t)page;
    if (f) fclose(f);
    if (r->peak < r->resident) r->peak = r->resident; /* the kernel counts them in different ways */
    for (int i = 0; i < b->open; i++) r->rows = b->times[i].n > r->rows ? b->times[i].n : r->rows;
    denoiser_room room = denoiser_needs(b->m->d, r->rows);
    r->weights = room.weights;
    r->session = room.pass;
    k_memory mem;
    denoiser_memory(b->m->d, &mem);
    r->device = mem.total_bytes ? mem.used_bytes : 0;
}

/* ---- all of it ---- */

static int by_value(const void *a, const void *b) {
    return ((const decode_time *)a)->n - ((const decode_time *)b)->n;
}

static void choose_lengths(run *b) {
    int most = denoiser_get_info(b->m->d)->max_len;
    for (int i = 0; i < BENCH_LENGTHS; i++) {
        if (lengths[i] <= most) b->n[b->n_lengths++] = lengths[i];
    }
    if (!b->n_lengths) b->n[b->n_lengths++] = most;
}

static int measure(run *b, err *e) {
    const denoiser_info *i = denoiser_get_info(b->m->d);
    k_open o = {.device = i->device,
                .precision = strcmp(i->precision, "bf16") ? K_PRECISION_F32 : K_PRECISION_BF16};
    if (i->max_len < 4)
        return err_set(e, ERR_UNSUPPORTED, "a context of %d tokens is too short to measure", i->max_len);
    choose_lengths(b);
    int rc = measure_phases(b, e);
    if (!rc) rc = measure_decodes(b, e);
    if (rc) return rc;
    measure_memory(b);
    rc = ceilings_measure(&o, &b->r->top, e);
    if (!rc) compare_phases(b->r);
    return rc;
}

int bench_run(bench_result *out, model *m, const bench_opts *o, err *e) {
    *out = (bench_result){0};
    run b = {.r = out, .m = m, .o = o, .begin = clock_now()};
    b.deadline = b.begin + larger(o->seconds - CEILINGS_SECONDS, o->seconds / 2);
    int rc = measure(&b, e);
    qsort(b.times, (size_t)b.open, sizeof *b.times, by_value);
    for (int i = 0; i < b.open; i++) {
        if (!rc) decode_time_report(&b.times[i], out);
        decode_time_close(&b.times[i]);
    }
    out->seconds = clock_now() - b.begin;
    return rc;
}
