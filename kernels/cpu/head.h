/* head.h - private to kernels/cpu: what is said of one row of logits, a run of ids at a time.
 *
 * Statistics are gathered over ids in ascending order, in chunks that begin at multiples of CPU_HEAD_CHUNK
 * and are as long, but for the last one. With m the highest logit so far, S = Σ exp(z-m) and T = Σ
 * (z-m)exp(z-m); when a chunk raises the maximum by δ, what was summed before becomes S·e^-δ and (T -
 * δS)·e^-δ. So a row's statistics are the same bits whether its logits lie in memory or come tile by tile.
 */
#ifndef TABES_KERNELS_CPU_HEAD_H
#define TABES_KERNELS_CPU_HEAD_H

#include "kernels/cpu/cpu.h"

enum { CPU_HEAD_CHUNK = 2048 };

typedef struct cpu_gathered {
    double m, S, T; /* m is -infinity as long as no logit was finite */
    k_top top;
    int most; /* of the highest logits wanted, 2 to K_TOP */
    bool bad; /* a NaN or +inf was met: nothing else counts */
} cpu_gathered;

cpu_gathered cpu_gather_none(int most);

/* Adds ids [first, first+n) of a row, z[0] being that of id `first`, a multiple of CPU_HEAD_CHUNK; n is one,
 * too, or ends the row. */
void cpu_gather(cpu_gathered *g, const float *z, int first, int n, int mask);

/* What a whole row comes to; top: the highest logits, may be NULL. */
k_row_stats cpu_gather_end(const cpu_gathered *g, k_top *top);

/* dz_v = -scale·π_v(log π_v + H), 0 for the mask, and p_v = π_v, for ids [first, first+n); the first element
 * of every array is that of id `first`. The output may be z. */
void cpu_entropy_slopes(float *dz, const float *z, const k_row_stats *s, double scale, int first, int n,
                        int mask);
void cpu_probabilities(float *p, const float *z, const k_row_stats *s, int first, int n, int mask);

#endif
