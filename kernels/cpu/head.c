/* head.c - what rows of logits say: statistics, the entropy's gradient, soft writes.
 *
 * All in double per element. With m the maximum, S = Σ exp(z-m) and T = Σ (z-m)exp(z-m),
 * H = log S - T/S, which is exactly 0 when all but one π underflow. */
#include "kernels/cpu/cpu.h"

#include <assert.h>
#include <math.h>

static void clear(k_top *t) {
    for (int i = 0; i < K_TOP; i++) t->id[i] = -1, t->z[i] = -INFINITY;
}

/* Puts id v among the `most` highest; it comes after its equals. */
static void insert(k_top *t, int most, int v, float z) {
    int i = most - 1;
    for (; i > 0 && z > t->z[i - 1]; i--) t->id[i] = t->id[i - 1], t->z[i] = t->z[i - 1];
    t->id[i] = v, t->z[i] = z;
}

/* The `most` highest logits; false if a NaN or +inf is met or nothing is finite. */
static bool highest(k_top *t, int most, const float *z, int V, int mask) {
    clear(t);
    for (int v = 0; v < V; v++) {
        if (v == mask || z[v] <= t->z[most - 1]) continue;
        if (isnan(z[v]) || isinf(z[v])) return false;
        insert(t, most, v, z[v]);
    }
    return t->id[0] >= 0;
}

/* S and T of n logits, added to lanes. What underflows, -inf included, adds nothing. */
static inline void add_term(double *S, double *T, double x) {
    double p = cpu_exp(x), y = x < -700.0 ? 0.0 : x;
    *S += p;
    *T += y * p;
}

CPU_CLONES static void add_terms(double *restrict S, double *restrict T, const float *restrict z, int n,
                                 double m) {
    int v = 0;
    for (; v + CPU_LANES <= n; v += CPU_LANES) {
        for (int i = 0; i < CPU_LANES; i++) add_term(S + i, T + i, (double)z[v + i] - m);
    }
    for (; v < n; v++) add_term(S + v % CPU_LANES, T + v % CPU_LANES, (double)z[v] - m);
}

/* `t` has at least the two highest. */
static k_row_stats row_stats(const k_top *t, const float *z, int V, int mask) {
    double m = (double)t->z[0], sums[CPU_LANES] = {0}, terms[CPU_LANES] = {0};
    int first = mask >= 0 && mask < V ? mask : V; /* the ids before the mask, and those after it */
    add_terms(sums, terms, z, first, m);
    if (first < V) add_terms(sums, terms, z + first + 1, V - first - 1, m);
    double S = cpu_add_lanes(sums), T = cpu_add_lanes(terms), H = log(S) - T / S;
    return (k_row_stats){.lse = m + log(S),
                         .entropy = H > 0 ? H : 0,
                         .confidence = 1 / S,
                         .margin = (1 - exp((double)t->z[1] - m)) / S,
                         .argmax = t->id[0]};
}

void cpu_head_stats(kernels *k, k_row_stats *stats, k_top *top, const float *logits, int n, int V, int mask) {
    (void)k;
    if (cpu_failed()) return;
    PARALLEL_FOR(at(n, V) >= PARALLEL_MIN)
    for (int i = 0; i < n; i++) {
        const float *z = logits + at(i, V);
        k_top two, *t = top ? top + i : &two;
        bool good = highest(t, top ? K_TOP : 2, z, V, mask);
        stats[i] = good ? row_stats(t, z, V, mask) : (k_row_stats){.bad = true};
        if (!good) clear(t);
    }
}

/* lse is at least every logit but the mask's, up to rounding. */
CPU_CLONES static void entropy_back_ids(float *restrict dz, const float *restrict z, double lse, double H,
                                        double scale, int V) {
    for (int v = 0; v < V; v++) {
        double lp = (double)z[v] - lse, finite = lp < -700.0 ? 0.0 : lp;
        dz[v] = (float)(-scale * cpu_exp(lp) * (finite + H));
    }
}

static void entropy_back_row(float *dz, const float *z, const k_row_stats *s, double scale, int V, int mask) {
    entropy_back_ids(dz, z, s->lse, s->entropy, scale, V);
    if (mask >= 0 && mask < V) dz[mask] = 0; /* whatever its logit holds */
}

void cpu_entropy_back(kernels *k, k_act *dz, const float *logits, const k_row_stats *stats, const int *rows,
                      int n, int V, int mask, float scale, k_counts *c) {
    (void)k;
    if (c) c->head_calls++, c->head_rows += n;
    if (cpu_failed()) return;
    PARALLEL_FOR(at(n, V) >= PARALLEL_MIN)
    for (int i = 0; i < n; i++) {
        int row = rows ? rows[i] : i;
        entropy_back_row(cpu_floats(dz) + at(i, V), logits + at(row, V), stats + row, (double)scale, V, mask);
    }
}

CPU_CLONES static void exponentials(float *restrict p, const float *restrict z, double lse, int n) {
    enum { PIECE = 256 };
    double x[PIECE]; /* bounded in a loop of its own, or compilers branch around the exponential */
    for (int v = 0; v < n; v += PIECE) {
        int count = n - v < PIECE ? n - v : PIECE;
        for (int i = 0; i < count; i++) {
            double lp = (double)z[v + i] - lse;
            x[i] = lp < -700.0 ? -700.0 : lp; /* e^-700 is 0 as a float */
        }
        for (int i = 0; i < count; i++) p[v + i] = (float)cpu_exp_within(x[i]);
    }
}

/* p[v - first] = π_v, for ids [first, first+count). */
static void probabilities(float *p, const float *z, double lse, int mask, int first, int count) {
    exponentials(p, z + first, lse, count);
    if (mask >= first && mask < first + count) p[mask - first] = 0;
}

void cpu_soft_write(kernels *k, float *out, const float *logits, const k_row_stats *stats, const int *rows,
                    int n, int V, int mask, const k_weight *E) {
    enum { TILE_IDS = 8192 };
    assert(V <= E->rows);
    if (n <= 0 || cpu_failed()) return;
    for (int first = 0; first < V; first += TILE_IDS) {
        int ids = V - first < TILE_IDS ? V - first : TILE_IDS;
        float *p = cpu_scratch(SLOT_SCORES, at(n, ids));
        PARALLEL_FOR(at(n, ids) >= PARALLEL_MIN)
        for (int i = 0; i < n; i++) {
            int row = rows ? rows[i] : i;
            probabilities(p + at(i, ids), logits + at(row, V), stats[row].lse, mask, first, ids);
        }
        cpu_back(k, out, p, ids, n, E, first, ids);
    }
}
