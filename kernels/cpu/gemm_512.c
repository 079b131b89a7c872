/* gemm_512.c - small float32 products on vectors of 512 bits: 12 rows times 32 columns at once (gemm_wide.h).
 */
#include "kernels/cpu/product.h"

#ifdef CPU_X86
#include CPU_INTRINSICS

#include "kernels/cpu/transpose.h"

#define VEC          __m512
#define LANES        16
#define SUB          12
#define SUB_ROWS     12
#define TARGET       CPU_TARGET_512
#define LOAD(p)      _mm512_loadu_ps(p)
#define STORE(p, v)  _mm512_storeu_ps(p, v)
#define SET(x)       _mm512_set1_ps(x)
#define ZERO         _mm512_setzero_ps()
#define FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define ADD(a, b)    _mm512_add_ps(a, b)
#define MUL(a, b)    _mm512_mul_ps(a, b)
#define PACK_COLUMNS pack_columns

/* out[k][32] = columns of up to 32 rows of b, zeros behind the last. */
CPU_TARGET_512 static void pack_columns(float *out, const float *b, size_t ldb, int rows, int k) {
    for (int half = 0; half < 32; half += 16) {
        for (int q = 0; q < k; q += 16) {
            __mmask16 m = cpu_lanes(k - q);
            __m512i r[16];
            for (int i = 0; i < 16; i++) {
                bool there = half + i < rows;
                r[i] = _mm512_maskz_loadu_epi32(there ? m : 0, b + (size_t)(there ? half + i : 0) * ldb + q);
            }
            cpu_transpose_16(r);
            for (int i = 0; i < 16 && q + i < k; i++)
                _mm512_storeu_si512(out + (size_t)(q + i) * 32 + half, r[i]);
        }
    }
}

#include "kernels/cpu/gemm_wide.h"

void cpu_gemm_512(const cpu_product *p) {
    product(p);
}
#endif
