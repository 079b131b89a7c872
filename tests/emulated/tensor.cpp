// tensor.cpp - matrix products and loads of a warp, and copies that are delayed, as tensor.cuh describes
// them.
#include "include/emulated_tensor.h"

#include "block.h"
#include "include/cuda_bf16.h"
#include "include/emulated/threads.h"
#include "memory.h"

#include <string.h>

namespace emulated {

enum : unsigned { ALL = 0xffffffffu };

// ---- products ----

struct product {
    float *d;
    const uint32_t *a, *b;
};

static float half_of(uint32_t pair, unsigned which) {
    return __bfloat162float(__ushort_as_bfloat16(static_cast<unsigned short>(pair >> 16 * which)));
}

// Gathers the fragments into whole matrices, multiplies, and hands the results out again. A product of two
// bfloat16 is exact in float32; the order of sums is one of those the hardware may take.
static void answer_product(void *const lanes[32], unsigned) {
    float A[16][16], B[16][8];
    for (unsigned lane = 0; lane < 32; lane++) {
        const product *p = static_cast<product *>(lanes[lane]);
        unsigned g = lane / 4, t = lane % 4;
        for (unsigned i = 0; i < 2; i++) {
            A[g][2 * t + i] = half_of(p->a[0], i);
            A[g + 8][2 * t + i] = half_of(p->a[1], i);
            A[g][2 * t + 8 + i] = half_of(p->a[2], i);
            A[g + 8][2 * t + 8 + i] = half_of(p->a[3], i);
            B[2 * t + i][g] = half_of(p->b[0], i);
            B[2 * t + 8 + i][g] = half_of(p->b[1], i);
        }
    }
    for (unsigned lane = 0; lane < 32; lane++) {
        float *d = static_cast<product *>(lanes[lane])->d;
        for (unsigned i = 0; i < 4; i++) {
            unsigned row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
            float sum = 0;
            for (unsigned k = 0; k < 16; k++) sum += A[row][k] * B[k][column];
            d[i] += sum;
        }
    }
}

void mma_meet(float *d, const uint32_t *a, const uint32_t *b) {
    product p = {d, a, b};
    warp_meet("mma_bf16_16816", ALL, &p, answer_product);
}

// ---- loads ----

struct load {
    uint32_t *r;
    const unsigned short *row;
};

static void answer_load(void *const lanes[32], bool transposed) {
    for (unsigned lane = 0; lane < 32; lane++) {
        for (unsigned m = 0; m < 4; m++) {
            uint32_t pair = 0;
            for (unsigned i = 0; i < 2; i++) {
                unsigned row = lane / 4, column = lane % 4 * 2 + i;
                if (transposed) row = column, column = lane / 4;
                uint32_t element = static_cast<load *>(lanes[8 * m + row])->row[column];
                pair |= element << 16 * i;
            }
            static_cast<load *>(lanes[lane])->r[m] = pair;
        }
    }
}

static void answer_plain(void *const lanes[32], unsigned) {
    answer_load(lanes, false);
}

static void answer_transposed(void *const lanes[32], unsigned) {
    answer_load(lanes, true);
}

static void check_shared(const char *operation, const void *p) {
    if (reinterpret_cast<uintptr_t>(p) % 16 != 0)
        thread_fail("%s of an address that is not 16-byte aligned", operation);
    if (!block_shares(p, 16)) thread_fail("%s of an address outside shared memory", operation);
}

void ldmatrix_meet(uint32_t *r, const void *row, bool transposed) {
    const char *operation = transposed ? "ldmatrix_x4_trans" : "ldmatrix_x4";
    check_shared(operation, row);
    load l = {r, static_cast<const unsigned short *>(row)};
    warp_meet(operation, ALL, &l, transposed ? answer_transposed : answer_plain);
}

// ---- asynchronous copies ----

// Until the copy is waited for its destination holds NaN, whatever was there.
void copy_issue(void *to, const void *from, bool valid) {
    check_shared("cp_async_16", to);
    if (reinterpret_cast<uintptr_t>(from) % 16 != 0) {
        thread_fail("cp_async_16 from an address that is not 16-byte aligned");
    }
    if (valid && !memory_holds(from, 16)) thread_fail("cp_async_16 from an address outside device memory");
    memset(to, 0xff, 16);
    pending_copies *copies = thread_copies();
    copies->list.push_back({to, valid ? from : nullptr, copies->open_group});
}

void copy_commit() {
    thread_copies()->open_group++;
}

void copy_wait(int unfinished) {
    pending_copies *copies = thread_copies();
    int done = copies->open_group - unfinished; // groups below this one
    size_t n = 0;
    while (n < copies->list.size() && copies->list[n].group < done) {
        const pending_copy *c = &copies->list[n++];
        if (c->from) {
            memcpy(c->to, c->from, 16);
        } else {
            memset(c->to, 0, 16);
        }
    }
    copies->list.erase(copies->list.begin(), copies->list.begin() + static_cast<ptrdiff_t>(n));
}

} // namespace emulated
