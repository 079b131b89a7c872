/* head.c - what rows of logits say: statistics, the entropy's gradient, soft writes.
 *
 * All in double per element. With m the maximum, S = Σ exp(z-m) and T = Σ (z-m)exp(z-m),
 * H = log S - T/S, which is exactly 0 when all but one π underflow. */
#include "kernels/cpu/head.h"

#include <assert.h>
#include <math.h>

static int least(int a, int b) {
    return a < b ? a : b;
}

/* ---- highest logits ---- */

static void clear(k_top *t) {
    for (int i = 0; i < K_TOP; i++) t->id[i] = -1, t->z[i] = -INFINITY;
}

/* Puts id v among the `most` highest; it comes after its equals. */
static void insert(k_top *t, int most, int v, float z) {
    int i = most - 1;
    for (; i > 0 && z > t->z[i - 1]; i--) t->id[i] = t->id[i - 1], t->z[i] = t->z[i - 1];
    t->id[i] = v, t->z[i] = z;
}

/* Logits looked at together, most of which are below the highest. */
enum { RUN = 64 };

/* The first v, from v on in steps of RUN, where one of the run is above `bound` or NaN; or n. */
CPU_CLONES static int skip_low(const float *z, int v, int n, float bound) {
    for (; v < n; v += RUN) {
        int above = 0, count = n - v < RUN ? n - v : RUN;
        for (int i = 0; i < count; i++) above += !(z[v + i] <= bound);
        if (above) return v;
    }
    return n;
}

/* The highest logits with those of n ids from `first` on; false if a NaN or +inf is met. */
static bool highest(k_top *t, int most, const float *z, int first, int n, int mask) {
    for (int v = 0; (v = skip_low(z, v, n, t->z[most - 1])) < n; v += RUN) {
        for (int i = v; i < least(v + RUN, n); i++) {
            if (first + i == mask || z[i] <= t->z[most - 1]) continue;
            if (isnan(z[i]) || isinf(z[i])) return false;
            insert(t, most, first + i, z[i]);
        }
    }
    return true;
}

/* ---- statistics ---- */

/* What goes into exponentials lies in arrays of its own: compilers branch around the exponential otherwise,
 * and input and output of what follows below may be one. */
enum { PIECE = 256 };

/* S and T of n logits, added to lanes. What underflows, -inf included, adds nothing. */
CPU_CLONES static void add_terms(double *restrict S, double *restrict T, const float *restrict z, int n,
                                 double m) {
    double x[PIECE], p[PIECE];
    for (int v = 0; v < n; v += PIECE) {
        int count = n - v < PIECE ? n - v : PIECE, i = 0;
        for (int j = 0; j < count; j++) {
            double y = (double)z[v + j] - m;
            p[j] = y < -700.0 ? 0.0 : 1.0;
            x[j] = y < -700.0 ? -700.0 : y;
        }
        for (int j = 0; j < count; j++) p[j] *= cpu_exp_within(x[j]);
        for (; i + CPU_LANES <= count; i += CPU_LANES) {
            for (int j = 0; j < CPU_LANES; j++) S[j] += p[i + j], T[j] += x[i + j] * p[i + j];
        }
        for (; i < count; i++) S[i % CPU_LANES] += p[i], T[i % CPU_LANES] += x[i] * p[i];
    }
}

cpu_gathered cpu_gather_none(int most) {
    cpu_gathered g = {.m = -INFINITY, .most = most};
    clear(&g.top);
    return g;
}

/* To a maximum m, which is finite. */
static void raise_to(cpu_gathered *g, double m) {
    if (!(g->S > 0) || g->m >= m) {
        g->m = m;
        return;
    }
    double by = m - g->m, low = cpu_exp(-by);
    g->T = low > 0 ? (g->T - by * g->S) * low : 0;
    g->S *= low;
    g->m = m;
}

static void gather_chunk(cpu_gathered *g, const float *z, int first, int n, int mask) {
    if (g->bad || !highest(&g->top, g->most, z, first, n, mask)) {
        g->bad = true;
        return;
    }
    if (g->top.id[0] < 0) return; /* only -inf so far */
    raise_to(g, (double)g->top.z[0]);
    double sums[CPU_LANES] = {0}, terms[CPU_LANES] = {0};
    int before = mask >= first && mask < first + n ? mask - first : n; /* ids before the mask, and after it */
    add_terms(sums, terms, z, before, g->m);
    if (before < n) add_terms(sums, terms, z + before + 1, n - before - 1, g->m);
    g->S += cpu_add_lanes(sums);
    g->T += cpu_add_lanes(terms);
}

void cpu_gather(cpu_gathered *g, const float *z, int first, int n, int mask) {
    assert(first % CPU_HEAD_CHUNK == 0);
    for (int v = 0; v < n; v += CPU_HEAD_CHUNK)
        gather_chunk(g, z + v, first + v, least(CPU_HEAD_CHUNK, n - v), mask);
}

k_row_stats cpu_gather_end(const cpu_gathered *g, k_top *top) {
    bool good = !g->bad && g->top.id[0] >= 0;
    if (top) *top = g->top;
    if (top && !good) clear(top);
    if (!good) return (k_row_stats){.bad = true};
    double H = log(g->S) - g->T / g->S;
    return (k_row_stats){.lse = g->m + log(g->S),
                         .entropy = H > 0 ? H : 0,
                         .confidence = 1 / g->S,
                         .margin = (1 - exp((double)g->top.z[1] - g->m)) / g->S,
                         .argmax = g->top.id[0]};
}

void cpu_head_stats(kernels *k, k_row_stats *stats, k_top *top, const float *logits, int n, int V, int mask) {
    (void)k;
    if (cpu_failed()) return;
    PARALLEL_FOR(at(n, V) >= PARALLEL_MIN)
    for (int i = 0; i < n; i++) {
        cpu_gathered g = cpu_gather_none(top ? K_TOP : 2);
        cpu_gather(&g, logits + at(i, V), 0, V, mask);
        stats[i] = cpu_gather_end(&g, top ? top + i : NULL);
    }
}

/* ---- gradients and probabilities ---- */

/* lse is at least every logit but the mask's, up to rounding. */
CPU_CLONES static void slopes(float *dz, const float *z, double lse, double H, double scale, int n) {
    double x[PIECE]; /* log π; below -700 π is 0 as a float, and the slope with it */
    for (int v = 0; v < n; v += PIECE) {
        int count = n - v < PIECE ? n - v : PIECE;
        for (int i = 0; i < count; i++) {
            double lp = (double)z[v + i] - lse;
            x[i] = lp < -700.0 ? -700.0 : lp;
        }
        for (int i = 0; i < count; i++) dz[v + i] = (float)(-scale * cpu_exp_within(x[i]) * (x[i] + H));
    }
}

void cpu_entropy_slopes(float *dz, const float *z, const k_row_stats *s, double scale, int first, int n,
                        int mask) {
    slopes(dz, z, s->lse, s->entropy, scale, n);
    if (mask >= first && mask < first + n) dz[mask - first] = 0; /* whatever its logit holds */
}

void cpu_entropy_back(kernels *k, k_act *dz, const float *logits, const k_row_stats *stats, const int *rows,
                      int n, int V, int mask, float scale, k_counts *c) {
    (void)k;
    if (c) c->head_calls++, c->head_rows += n;
    if (cpu_failed()) return;
    PARALLEL_FOR(at(n, V) >= PARALLEL_MIN)
    for (int i = 0; i < n; i++) {
        int row = rows ? rows[i] : i;
        cpu_entropy_slopes(cpu_floats(dz) + at(i, V), logits + at(row, V), stats + row, (double)scale, 0, V,
                           mask);
    }
}

CPU_CLONES static void exponentials(float *p, const float *z, double lse, int n) {
    double x[PIECE];
    for (int v = 0; v < n; v += PIECE) {
        int count = n - v < PIECE ? n - v : PIECE;
        for (int i = 0; i < count; i++) {
            double lp = (double)z[v + i] - lse;
            x[i] = lp < -700.0 ? -700.0 : lp; /* e^-700 is 0 as a float */
        }
        for (int i = 0; i < count; i++) p[v + i] = (float)cpu_exp_within(x[i]);
    }
}

void cpu_probabilities(float *p, const float *z, const k_row_stats *s, int first, int n, int mask) {
    exponentials(p, z, s->lse, n);
    if (mask >= first && mask < first + n) p[mask - first] = 0;
}

void cpu_soft_write(kernels *k, float *out, const float *logits, const k_row_stats *stats, const int *rows,
                    int n, int V, int mask, const k_weight *E) {
    enum { TILE_IDS = 8192 };
    assert(V <= E->rows);
    if (n <= 0 || cpu_failed()) return;
    for (int first = 0; first < V; first += TILE_IDS) {
        int ids = least(V - first, TILE_IDS);
        float *p = cpu_scratch(SLOT_SCORES, at(n, ids));
        PARALLEL_FOR(at(n, ids) >= PARALLEL_MIN)
        for (int i = 0; i < n; i++) {
            int row = rows ? rows[i] : i;
            cpu_probabilities(p + at(i, ids), logits + at(row, V) + first, stats + row, first, ids, mask);
        }
        cpu_back(k, out, p, ids, n, E, first, ids);
    }
}
