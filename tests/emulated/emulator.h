/* emulator.h - what tests may set and ask of the emulated GPU, beyond CUDA's own functions.
 *
 * Every setting has an environment variable (README.md) that is read when the emulator starts; these
 * functions change it at run time. A program that opens an emulated module with dlopen finds them with
 * dlsym. All may be called from any thread, none while work is running.
 */
#ifndef TABES_EMULATOR_H
#define TABES_EMULATOR_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Order of blocks, threads and streams from now on. */
void emulator_set_seed(uint64_t seed);
/* Total device memory; what is allocated stays. */
void emulator_set_memory(size_t bytes);
/* The n-th launch from now (kernels and products alike, 1 is the next) loses the device; 0: none. */
void emulator_set_fail_after(int64_t n);
/* Number of devices that the runtime reports; all are the same one. */
void emulator_set_devices(int n);
/* True: a stream's work runs when it is waited for, or a seeded moment before; false: at once. */
void emulator_set_async(int async);
/* What does not work from now on: "capture" (products spoil it), "graphs" (none is instantiated), "handles"
 * (of cuBLAS, for lack of memory), "driver" (it is too old), "code" (the device is older than what there is
 * code for); "" for all works. */
void emulator_set_refuse(const char *what);
/* Brings a lost device back, as nothing but a new process does with a real one. Memory stays. */
void emulator_revive(void);

typedef struct emulator_counts {
    int64_t launches, products, graph_launches; /* replayed work counts too */
    int64_t live_allocations;
    size_t live_bytes, peak_bytes;
} emulator_counts;

void emulator_count(emulator_counts *out);
/* The last report, one line, or "". Valid until the next one. */
const char *emulator_report(void);

#ifdef __cplusplus
}
#endif

#endif
