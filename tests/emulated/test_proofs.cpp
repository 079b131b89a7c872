// test_proofs.cpp - does the emulator catch what it is for? One of our kernels runs as it is and broken in
// three ways; the broken ones must fail, each for its own reason.
#include "checks.h"

#include <stdlib.h>
#include <string>
#include <sys/wait.h>

struct outcome {
    int status; // exit status, or -1 for a signal
    std::string text;
};

static outcome run(const char *proof) {
    std::string command = std::string("'") + PROOFS_DIR + "/" + proof + "' 2>&1";
    outcome o = {-1, ""};
    FILE *f = popen(command.c_str(), "r");
    if (!f) return o;
    char buffer[4096];
    for (size_t n; (n = fread(buffer, 1, sizeof buffer, f)) > 0;) o.text.append(buffer, n);
    int status = pclose(f);
    if (WIFEXITED(status)) o.status = WEXITSTATUS(status);
    return o;
}

static bool says(const outcome &o, const char *part) {
    if (o.text.find(part) != std::string::npos) return true;
    fprintf(stderr, "expected \"%s\" in:\n%s\n", part, o.text.c_str());
    return false;
}

int main() {
    unsetenv("TABES_EMULATOR_ABORT");
    CHECK(run("proof_norm").status == 0);
    CHECK(run("proof_norm_asan").status == 0);

    outcome no_barrier = run("proof_norm_no_barrier");
    CHECK(no_barrier.status == 1);
    CHECK(says(no_barrier, "wrong under"));

    outcome half_barrier = run("proof_norm_half_barrier");
    CHECK(half_barrier.status == 2);
    CHECK(says(half_barrier, "divergent barrier"));

    outcome shifted = run("proof_norm_shifted");
    CHECK(shifted.status == 2);
    CHECK(says(shifted, "wrote outside a device allocation"));

    outcome shifted_asan = run("proof_norm_shifted_asan");
    CHECK(shifted_asan.status != 0 && shifted_asan.status != 2);
    CHECK(says(shifted_asan, "AddressSanitizer: heap-buffer-overflow"));
    return checks_end();
}
