/* gemm_256.c - small float32 products on vectors of 256 bits: 6 rows times 16 columns at once (gemm_wide.h).
 */
#include "kernels/cpu/product.h"

#ifdef CPU_X86
#include <immintrin.h>

#include "kernels/cpu/transpose_256.h"

#define VEC          __m256
#define LANES        8
#define SUB          6
#define SUB_ROWS     6
#define TARGET       CPU_TARGET_256
#define LOAD(p)      _mm256_loadu_ps(p)
#define STORE(p, v)  _mm256_storeu_ps(p, v)
#define SET(x)       _mm256_set1_ps(x)
#define ZERO         _mm256_setzero_ps()
#define FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define ADD(a, b)    _mm256_add_ps(a, b)
#define MUL(a, b)    _mm256_mul_ps(a, b)
#define PACK_COLUMNS pack_columns

/* out[k][16] = columns of up to 16 rows of b, zeros behind the last. */
CPU_TARGET_256 static void pack_columns(float *out, const float *b, size_t ldb, int rows, int k) {
    for (int half = 0; half < 16; half += 8) {
        for (int q = 0; q < k; q += 8) {
            int n = k - q < 8 ? k - q : 8;
            __m256i m = cpu_first_8(n);
            __m256 r[8];
            for (int i = 0; i < 8; i++)
                r[i] = half + i < rows ? _mm256_maskload_ps(b + (size_t)(half + i) * ldb + q, m)
                                       : _mm256_setzero_ps();
            cpu_transpose_8(r);
            for (int i = 0; i < n; i++) _mm256_storeu_ps(out + (size_t)(q + i) * 16 + half, r[i]);
        }
    }
}

#include "kernels/cpu/gemm_wide.h"

void cpu_gemm_256(const cpu_product *p) {
    product(p);
}
#endif
