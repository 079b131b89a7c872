/* fuzz_verify.c - a recording run again on a model: whatever it says of policy, parameters, bans, pins and
 * changes by hand is what a session then does. */
#include <string.h>

#include "replay/replay.h"
#include "tests/fuzz/support.h"
#include "tests/fuzz/workbench.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { MAX_RECORDS = 32 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static fuzz_file f;
    replay *r;
    verify_report rep;
    err e = {0};
    const model *m = fuzz_workbench_model();
    fuzz_file_fill(&f, data, n);
    if (replay_load_to_verify(&r, f.path, &e)) {
        fuzz_message(&e);
        return 0;
    }
    if (r->traj.n_records <= MAX_RECORDS && replay_verify(r, m, VERIFY_TOLERANCE, n % 2, &rep, &e) == 0) {
        fuzz_touch(rep.where, strlen(rep.where));
        if (rep.same && rep.where[0]) abort();
    }
    replay_close(r);
    return 0;
}
