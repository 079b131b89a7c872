/* bf16.c - rounding to bfloat16, and what the processor multiplies. */
#include "kernels/cpu/product.h"

#include <stdatomic.h>
#ifdef CPU_X86
#include CPU_INTRINSICS
#endif

static atomic_int most_bits = 512;

void kernels_limit_vectors(int bits) {
    atomic_store(&most_bits, bits);
}

#ifdef CPU_X86
static bool allowed(int bits) {
    return atomic_load(&most_bits) >= bits;
}
#endif

bool kernels_have_bf16(void) {
    return cpu_has_bf16();
}

bool kernels_exact_rows(const kernels *k) {
    if (!k->host) return false;
#ifdef CPU_X86
    return cpu_kind_of(k->product_bytes == 2) != NULL;
#else
    return false;
#endif
}

bool cpu_has_256(void) {
#ifdef CPU_X86
    /* every processor with AVX2 converts halves (F16C) too, which not all compilers can ask for */
    return allowed(256) && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return false;
#endif
}

bool cpu_has_512(void) {
#ifdef CPU_X86
    return allowed(512) && CPU_SUPPORTS_512("avx512f") && CPU_SUPPORTS_512("avx512bw") &&
           CPU_SUPPORTS_512("avx512dq") && CPU_SUPPORTS_512("avx512vl");
#else
    return false;
#endif
}

bool cpu_has_bf16(void) {
#ifdef CPU_X86
    return cpu_has_512() && CPU_SUPPORTS_512("avx512bf16");
#else
    return false;
#endif
}

/* To nearest even; NaN stays one. */
static inline bf16 rounded(float x) {
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    if ((u & 0x7fffffffu) > 0x7f800000u) return (bf16)(u >> 16 | 0x40u);
    return (bf16)((u + 0x7fffu + (u >> 16 & 1u)) >> 16);
}

static void round_plain(bf16 *out, const float *x, size_t n) {
    for (size_t i = 0; i < n; i++) out[i] = rounded(x[i]);
}

#ifdef CPU_X86
CPU_TARGET_BF16 static void round_fast(bf16 *out, const float *x, size_t n) {
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        __m512bh two = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + i + 16), _mm512_loadu_ps(x + i));
        _mm512_storeu_si512(out + i, (__m512i)two);
    }
    round_plain(out + i, x + i, n - i);
}
#endif

void cpu_round_bf16(bf16 *out, const float *x, size_t n) {
#ifdef CPU_X86
    if (cpu_has_bf16()) {
        round_fast(out, x, n);
        return;
    }
#endif
    round_plain(out, x, n);
}

void cpu_round_floats(float *x, size_t n) {
    enum { PIECE = 256 };
    bf16 narrow[PIECE];
    for (size_t i = 0; i < n; i += PIECE) {
        size_t m = n - i < PIECE ? n - i : PIECE;
        cpu_round_bf16(narrow, x + i, m);
        for (size_t j = 0; j < m; j++) {
            uint32_t u = (uint32_t)narrow[j] << 16;
            memcpy(x + i + j, &u, sizeof u);
        }
    }
}
