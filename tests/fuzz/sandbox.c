/* sandbox.c - calls that take a path, with a folder of their own. */
#include "tests/fuzz/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_KEPT = 4 };

typedef struct kept {
    char name[32];
    void *data;
    size_t n;
} kept;

static struct {
    char path[4096];
    int fd;
    bool inside, changed;
    kept kept[MAX_KEPT];
    int n_kept;
} box = {.fd = -1};

static void give_up(const char *what) {
    perror(what);
    _Exit(1);
}

/* ---- the folder ---- */

static void empty_folder(void) {
    int fd = dup(box.fd);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) give_up(box.path);
    rewinddir(d);
    for (const struct dirent *entry; (entry = readdir(d));) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(box.fd, entry->d_name, 0);
    }
    closedir(d);
}

static void remove_folder(void) {
    empty_folder();
    rmdir(box.path);
}

static void write_kept(const kept *k) {
    int fd = openat(box.fd, k->name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, k->data, k->n) != (ssize_t)k->n) give_up(k->name);
    close(fd);
}

static void make_folder(void) {
    const char *base = getenv("TMPDIR");
    if (box.fd >= 0) return;
    snprintf(box.path, sizeof box.path, "%s/tabes-fuzz-XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(box.path) || (box.fd = open(box.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        give_up(box.path);
    if (atexit(remove_folder)) give_up("atexit");
}

void fuzz_sandbox_put(const char *name, const void *data, size_t n) {
    kept *k = &box.kept[box.n_kept++];
    make_folder();
    snprintf(k->name, sizeof k->name, "%s", name);
    k->data = malloc(n + !n);
    if (!k->data) give_up("malloc");
    memcpy(k->data, data, n);
    k->n = n;
    write_kept(k);
}

void fuzz_sandbox_enter(void) {
    make_folder();
    box.inside = true;
}

void fuzz_sandbox_leave(void) {
    box.inside = false;
    if (!box.changed) return;
    box.changed = false;
    empty_folder();
    for (int i = 0; i < box.n_kept; i++) write_kept(&box.kept[i]);
}

/* ---- the calls ---- */

/* False, with errno set: not for an input. */
static bool allowed(const char *path) {
    if (*path && !strchr(path, '/')) return true;
    errno = *path ? EACCES : ENOENT;
    return false;
}

int __wrap_open(const char *path, int flags, ...);
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...) {
    va_list ap;
    va_start(ap, flags);
    mode_t mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
    va_end(ap);
    if (!box.inside || !strcmp(path, "/dev/null")) return __real_open(path, flags, mode);
    if (!allowed(path)) return -1;
    box.changed |= (flags & (O_WRONLY | O_RDWR)) != 0;
    return openat(box.fd, path, flags, mode);
}

FILE *__wrap_fopen(const char *path, const char *mode);
FILE *__real_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode) {
    /* Only libFuzzer writes this way, when an input has found something. */
    if (!box.inside || *mode != 'r' || !strcmp(path, "/dev/null")) return __real_fopen(path, mode);
    int fd = allowed(path) ? openat(box.fd, path, O_RDONLY | O_CLOEXEC) : -1;
    return fd < 0 ? NULL : fdopen(fd, mode);
}

int __wrap_mkstemp(char *name);
int __real_mkstemp(char *name);
int __wrap_mkstemp(char *name) {
    static unsigned count;
    size_t n = strlen(name);
    if (!box.inside) return __real_mkstemp(name);
    if (!allowed(name)) return -1;
    snprintf(name + n - 6, 7, "%06u", count++ % 1000000);
    box.changed = true;
    return openat(box.fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
}

int __wrap_rename(const char *from, const char *to);
int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to) {
    if (!box.inside) return __real_rename(from, to);
    box.changed = true;
    return allowed(from) && allowed(to) ? renameat(box.fd, from, box.fd, to) : -1;
}

int __wrap_unlink(const char *path);
int __real_unlink(const char *path);
int __wrap_unlink(const char *path) {
    if (!box.inside) return __real_unlink(path);
    return allowed(path) ? unlinkat(box.fd, path, 0) : -1;
}

int __wrap_mkdir(const char *path, mode_t mode);
int __real_mkdir(const char *path, mode_t mode);
int __wrap_mkdir(const char *path, mode_t mode) {
    if (!box.inside) return __real_mkdir(path, mode);
    errno = EACCES;
    return -1;
}

int __wrap_stat(const char *path, struct stat *st);
int __real_stat(const char *path, struct stat *st);
int __wrap_stat(const char *path, struct stat *st) {
    if (!box.inside) return __real_stat(path, st);
    return allowed(path) ? fstatat(box.fd, path, st, 0) : -1;
}

/* What is written need not outlive the machine. */
int __wrap_fsync(int fd);
int __wrap_fsync(int fd) {
    (void)fd;
    return 0;
}
