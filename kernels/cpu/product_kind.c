/* product_kind.c - which inner loops this processor takes. */
#include "kernels/cpu/product_kind.h"

#ifdef CPU_X86
const cpu_kind *cpu_kind_of(bool rounded) {
    if (rounded && cpu_has_bf16()) return &cpu_pairs_512;
    if (!rounded && cpu_has_512()) return &cpu_floats_512;
    if (!cpu_has_256()) return NULL;
    return rounded ? &cpu_rounded_256 : &cpu_floats_256;
}

const cpu_back_kind *cpu_back_kind_of(bool rounded, const k_weight *w, int n) {
    /* Rows that do not pay for oneDNN's bringing float32 into its order, without and with AVX-512, which it
     * has. */
    enum { FEW = 32, FEW_BESIDE_512 = 4 };
    if (rounded && cpu_has_bf16()) return &cpu_back_pairs_512;
    int few = cpu_has_512() ? FEW_BESIDE_512 : FEW;
    if (!cpu_has_256() || (w->part[0].dtype == K_F32 && !w->device && n > few)) return NULL;
    return rounded ? &cpu_back_rounded_256 : &cpu_back_floats_256;
}
#endif
