/* support.c - files in memory, and what is done with a checkpoint. */
#include "tests/fuzz/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/formats/mapping.h"

static void give_up(const char *what) {
    perror(what);
    _Exit(1);
}

/* ---- files ---- */

void fuzz_file_fill(fuzz_file *f, const void *data, size_t n) {
    if (!f->path[0]) {
        f->fd = memfd_create("fuzz", MFD_CLOEXEC);
        if (f->fd < 0) give_up("memfd_create");
        snprintf(f->path, sizeof f->path, "/proc/self/fd/%d", f->fd);
    }
    if (ftruncate(f->fd, 0)) give_up("ftruncate");
    for (size_t at = 0; at < n;) {
        ssize_t wrote = pwrite(f->fd, (const char *)data + at, n - at, (off_t)at);
        if (wrote <= 0) give_up("pwrite");
        at += (size_t)wrote;
    }
}

static fuzz_directory *made;

static void remove_directories(void) {
    char link[4200];
    for (const fuzz_directory *d = made; d; d = d->before) {
        for (int i = 0; i < d->n; i++) {
            snprintf(link, sizeof link, "%s/%s", d->path, d->names[i]);
            unlink(link);
        }
        rmdir(d->path);
    }
}

static void make_directory(fuzz_directory *d) {
    const char *folder = getenv("TMPDIR");
    snprintf(d->path, sizeof d->path, "%s/tabes-fuzz-XXXXXX", folder && *folder ? folder : "/tmp");
    if (!mkdtemp(d->path)) give_up("mkdtemp");
    if (!made && atexit(remove_directories)) give_up("atexit");
    d->before = made;
    made = d;
}

void fuzz_directory_fill(fuzz_directory *d, const char *name, const void *data, size_t n) {
    int i = 0;
    if (!d->path[0]) make_directory(d);
    while (i < d->n && strcmp(d->names[i], name)) i++;
    if (i == FUZZ_MAX_FILES) abort();
    fuzz_file_fill(&d->files[i], data, n);
    if (i < d->n) return;
    char link[4200];
    snprintf(link, sizeof link, "%s/%s", d->path, name);
    if (symlink(d->files[i].path, link)) give_up(link);
    d->names[d->n++] = name;
}

size_t fuzz_split(const uint8_t *data, size_t n, const uint8_t **rest, size_t *n_rest) {
    const size_t width = sizeof FUZZ_SEPARATOR - 1;
    const uint8_t *at = n ? memmem(data, n, FUZZ_SEPARATOR, width) : NULL;
    size_t first = at ? (size_t)(at - data) : n;
    *n_rest = at ? n - first - width : 0;
    *rest = data + n - *n_rest;
    return first;
}

/* Nothing to steer by in here. */
__attribute__((no_sanitize("coverage"))) void fuzz_touch(const void *data, size_t n) {
    const uint8_t *p = data;
    uint8_t all = 0;
    for (size_t i = 0; i < n; i++) all = (uint8_t)(all ^ p[i]);
    __asm__ volatile("" ::"r"(all));
}

void fuzz_message(const err *e) {
    const unsigned char *s = (const unsigned char *)e->msg;
    if (!e->code || !*s) abort();
    for (; *s; s++) {
        if (*s < 0x20 || *s == 0x7F || (*s == 0xC2 && s[1] >= 0x80 && s[1] < 0xA0)) abort();
    }
}

/* ---- instead of mmap ---- */

/* A mapping ends in zeros up to the end of its page, where no sanitizer sees what is read. The targets are
 * linked with --wrap: a file that the engine maps is read into memory of exactly its size. */
int __wrap_mapping_open(mapping *m, const char *path, err *e);
void __wrap_mapping_close(mapping *m);
int __real_mapping_open(mapping *m, const char *path, err *e);
void __real_mapping_close(mapping *m);

int __wrap_mapping_open(mapping *m, const char *path, err *e) {
    mapping real;
    int rc = __real_mapping_open(&real, path, e);
    *m = (mapping){0};
    if (rc || !real.data) return rc;
    *m = (mapping){malloc(real.size), real.size};
    if (m->data) memcpy(m->data, real.data, real.size);
    __real_mapping_close(&real);
    return m->data ? 0 : err_set(e, ERR_NO_MEMORY, "%s: out of memory", path);
}

void __wrap_mapping_close(mapping *m) {
    free(m->data);
    *m = (mapping){0};
}

/* ---- checkpoints ---- */

enum { ROWS = 3 };

/* Numbers that a forward over a few rows multiplies. */
static bool is_cheap(const denoiser_info *d) {
    return d->max_len >= ROWS && d->n_params <= 1 << 20 && d->n_vocab <= 1 << 16 &&
           (int64_t)d->d_model * d->n_layers <= 1 << 14;
}

static void run_once(denoiser *d, const denoiser_info *info) {
    int32_t tokens[ROWS] = {0, info->mask_id, info->mask_id};
    sequence seq = {tokens, ROWS};
    row_ref row = {0, 1};
    forward_req q = {.seqs = &seq, .n_seqs = 1, .rows = &row, .n_rows = 1, .whole_rows = true};
    pass *p = pass_new();
    err e = {0};
    if (p && denoiser_forward(d, &q, p, &e) == 0) fuzz_touch(pass_logits(p, 0), 4 * (size_t)info->n_vocab);
    pass_free(p);
}

void fuzz_checkpoint(const char *path) {
    denoiser *d;
    err e = {0};
    denoiser_opts o = {.shift = -1, .has_mask_hint = true, .mask_hint = 1};
    if (denoiser_load(&d, path, &o, &e)) {
        fuzz_message(&e);
        return;
    }
    if (is_cheap(denoiser_get_info(d))) run_once(d, denoiser_get_info(d));
    denoiser_close(d);
}
