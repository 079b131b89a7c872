/* open.c - devices by name: the CPU, or one from the CUDA module.
 *
 * The program never links CUDA. The module is a shared library that exports kernels_module_open();
 * it is loaded on first use and stays loaded. */
#include "kernels/kernels.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MODULE_FILE "libtabes_cuda.so"
enum { PATH_BYTES = 4096, SHOWN = 160 }; /* of a loader's complaint, so that the advice after it fits */

static int refuse(k_fault *f, const char *what) {
    f->kind = K_NO_DEVICE;
    snprintf(f->text, sizeof f->text, "%s", what);
    return -1;
}

static int refuse_module(k_fault *f, k_fault_kind kind, const char *device, const char *why) {
    f->kind = kind;
    snprintf(f->text, sizeof f->text, "%.16s: no CUDA module here (%.*s); use --device cpu", device, SHOWN,
             why);
    return -1;
}

/* The folder of the running program, or "" when it cannot be told. */
static void program_folder(char out[PATH_BYTES]) {
    ssize_t n = readlink("/proc/self/exe", out, PATH_BYTES - 1);
    out[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(out, '/');
    if (slash) *slash = '\0';
}

/* Without a driver nobody misses the module. */
static bool has_driver(void) {
    void *driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
    if (driver) dlclose(driver);
    return driver;
}

/* The module in `folder`/`below`; a file that is there but cannot be loaded leaves its reason in why. */
static void *load_from(const char *folder, const char *below, char why[256]) {
    char path[PATH_BYTES + 64];
    snprintf(path, sizeof path, "%s%s/%s", folder, below, MODULE_FILE);
    if (!folder[0] || access(path, F_OK) != 0) return NULL;
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!module) snprintf(why, 256, "%s", dlerror());
    return module;
}

/* NULL, and why it could not be loaded, or "" when none is there. */
static void *load_module(char why[256]) {
    const char *chosen = getenv("TABES_CUDA_MODULE");
    if (chosen && chosen[0]) {
        void *module = dlopen(chosen, RTLD_NOW | RTLD_LOCAL);
        if (!module) snprintf(why, 256, "TABES_CUDA_MODULE: %s", dlerror());
        return module;
    }
    char beside[PATH_BYTES];
    program_folder(beside);
    void *module = load_from(beside, "", why);
    if (!module) module = load_from(beside, "/../lib/tabes", why); /* installed, under any prefix */
#ifdef TABES_MODULE_DIR
    if (!module) module = load_from(TABES_MODULE_DIR, "", why);
#endif
    return module;
}

static int open_cuda(kernels **out, const k_open *o, k_fault *f) {
    char why[256] = "";
    void *module = load_module(why), *found = module ? dlsym(module, "kernels_module_open") : NULL;
    if (!module && !why[0])
        return refuse_module(f, K_NO_DEVICE, o->device,
                             MODULE_FILE " was not built: none beside the program");
    if (!module) return refuse_module(f, has_driver() ? K_UNUSABLE : K_NO_DEVICE, o->device, why);
    if (!found)
        return refuse_module(f, K_UNUSABLE, o->device, "the file found is no device module of this program");
    kernels_module_fn *open = (kernels_module_fn *)(uintptr_t)found;
    return open(out, o, f);
}

static atomic_int own_turn;

void kernels_set_turn(int turn) {
    atomic_store(&own_turn, turn > 0 ? turn : 0);
}

static bool is_cuda(const char *name) {
    if (strcmp(name, "cuda") == 0) return true;
    if (strncmp(name, "cuda:", 5) != 0) return false;
    size_t digits = strspn(name + 5, "0123456789");
    return digits > 0 && digits < 4 && !name[5 + digits];
}

int kernels_open(kernels **out, const k_open *o, k_fault *f) {
    const char *name = o->device ? o->device : "cpu";
    *out = NULL;
    *f = (k_fault){0};
    if (is_cuda(name)) return open_cuda(out, &(k_open){name, o->precision, atomic_load(&own_turn)}, f);
    if (strcmp(name, "cpu") != 0) {
        char text[128];
        snprintf(text, sizeof text, "%.60s: unknown device; use cpu, cuda or cuda:N", name);
        return refuse(f, text);
    }
    *out = o->precision == K_PRECISION_BF16 ? kernels_cpu_bf16() : kernels_cpu();
    return 0;
}
