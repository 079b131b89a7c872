/* ranks.c - finds and loads the MPI module when mpirun started this process. */
#include "eval/ranks.h"

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MODULE_FILE "libtabes_mpi.so"
enum { PATH_BYTES = 4096 };

static void *load_from(const char *folder, const char *below, char why[256]) {
    char path[PATH_BYTES + 64];
    snprintf(path, sizeof path, "%s%s/%s", folder, below, MODULE_FILE);
    if (!folder[0] || access(path, F_OK) != 0) return NULL;
    /* Global: the library loads parts of its own that look for its symbols. */
    void *module = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
    if (!module) snprintf(why, 256, "%s", dlerror());
    return module;
}

/* Beside the program, or where it is installed. */
static void *load_module(char why[256]) {
    char exe[PATH_BYTES];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    exe[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(exe, '/');
    if (slash) *slash = '\0';
    void *module = load_from(exe, "", why);
    if (!module) module = load_from(exe, "/../lib/tabes", why);
    if (!module && !why[0]) snprintf(why, 256, MODULE_FILE " was not built: none beside the program");
    return module;
}

int ranks_open(const ranks **out, err *e) {
    *out = NULL;
    if (!getenv("OMPI_COMM_WORLD_SIZE")) return 0;
    char why[256] = "";
    void *module = load_module(why), *found = module ? dlsym(module, "tabes_ranks_open") : NULL;
    if (!found)
        return err_set(e, ERR_UNSUPPORTED, "started by mpirun, but there is no MPI module (%.160s)", why);
    *out = ((ranks_open_fn *)(uintptr_t)found)();
    return *out ? 0 : err_set(e, ERR_IO, "the MPI library does not start");
}
