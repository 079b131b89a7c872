/* faults.c - what makes a program out of tabes that can run short of memory and of disk.
 *
 * The linker sends the calls of our own objects to the __wrap_ functions here (CMakeLists.txt); what
 * libraries ask for on their own is served as ever, because several of them end the process when it is not.
 * cJSON is the exception: its hooks lead here, too. The environment says what goes wrong:
 *
 *     FAULT_ALLOC=N    the Nth call for memory fails, threads and mappings included; with a '+' behind it,
 * all from there on FAULT_TRACE=F    writes to F, at the end, how many such calls there were, and then the
 * number of the first one of every different place, a place being the innermost callers FAULT_SAY=1      says
 * on standard error which call failed FAULT_SHORT=N    a write to a regular file takes at most N bytes at a
 * time FAULT_DISK=N     writes to regular files fail, as on a full disk, after N bytes FAULT_SYNC=1     what
 * is to be flushed to the disk does not get there FAULT_HEAP=F     appends to F, twenty times a second, how
 * many bytes are allocated, by whomever
 */
#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum { DEPTH = 4, MAX_PLACES = 1 << 16 };

static struct {
    unsigned long fail_at; /* 0: never */
    bool from_there, say;
    atomic_ulong calls;
    long chunk;       /* 0: as much as asked for */
    atomic_long room; /* on the disk; negative: no end */
    bool no_sync;
} fault = {.room = -1};

/* Places ---------------------------------------------------------------- */

static struct {
    const char *path;
    pthread_mutex_t lock;
    uint64_t hash[MAX_PLACES]; /* open addressing; 0: free */
    unsigned long first[MAX_PLACES];
    int n;
} places = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void note_place(unsigned long call) {
    void *at[DEPTH + 3];
    int n = backtrace(at, DEPTH + 3);
    uint64_t h = 1469598103934665603u;
    for (int i = 3; i < n; i++) h = (h ^ (uint64_t)(uintptr_t)at[i]) * 1099511628211u;
    pthread_mutex_lock(&places.lock);
    size_t i = h % MAX_PLACES;
    while (places.hash[i] && places.hash[i] != h) i = (i + 1) % MAX_PLACES;
    if (!places.hash[i] && places.n < MAX_PLACES / 2) {
        places.hash[i] = h;
        places.first[i] = call;
        places.n++;
    }
    pthread_mutex_unlock(&places.lock);
}

__attribute__((destructor)) static void write_places(void) {
    FILE *f = places.path ? fopen(places.path, "we") : NULL;
    if (!f) return;
    fprintf(f, "%lu\n", atomic_load(&fault.calls));
    for (int i = 0; i < MAX_PLACES; i++) {
        if (places.hash[i]) fprintf(f, "%lu\n", places.first[i]);
    }
    fclose(f);
}

/* Memory ---------------------------------------------------------------- */

/* Counts a call; true when it is to fail. */
static bool short_of_memory(void) {
    if (!fault.fail_at && !places.path) return false;
    unsigned long call = atomic_fetch_add(&fault.calls, 1) + 1;
    if (places.path) note_place(call);
    bool fails = fault.fail_at && (call == fault.fail_at || (fault.from_there && call > fault.fail_at));
    if (fails && fault.say) {
        void *at[DEPTH + 8];
        dprintf(STDERR_FILENO, "call %lu fails\n", call);
        backtrace_symbols_fd(at, backtrace(at, DEPTH + 8), STDERR_FILENO);
    }
    if (fails) errno = ENOMEM;
    return fails;
}

#define WRAP(type, name, params, args, failure)                                                              \
    type __real_##name params;                                                                               \
    type __wrap_##name params;                                                                               \
    type __wrap_##name params {                                                                              \
        return short_of_memory() ? (failure) : __real_##name args;                                           \
    }

WRAP(void *, malloc, (size_t n), (n), NULL)
WRAP(void *, calloc, (size_t n, size_t size), (n, size), NULL)
WRAP(void *, realloc, (void *p, size_t n), (p, n), NULL)
WRAP(void *, aligned_alloc, (size_t align, size_t n), (align, n), NULL)
WRAP(char *, strdup, (const char *s), (s), NULL)
WRAP(char *, strndup, (const char *s, size_t n), (s, n), NULL)
WRAP(DIR *, opendir, (const char *path), (path), NULL)
WRAP(int, eventfd, (unsigned start, int flags), (start, flags), -1)
WRAP(int, dup, (int fd), (fd), -1)
WRAP(void *, mmap, (void *at, size_t n, int prot, int flags, int fd, off_t from),
     (at, n, prot, flags, fd, from), MAP_FAILED)
WRAP(int, pthread_create, (pthread_t * t, const pthread_attr_t *attr, void *(*body)(void *), void *arg),
     (t, attr, body, arg), EAGAIN)
WRAP(pcre2_code *, pcre2_compile_8,
     (PCRE2_SPTR text, PCRE2_SIZE n, uint32_t how, int *code, PCRE2_SIZE *at, pcre2_compile_context *c),
     (text, n, how, code, at, c), (*code = PCRE2_ERROR_NOMEMORY, *at = 0, NULL))
WRAP(pcre2_match_data *, pcre2_match_data_create_from_pattern_8,
     (const pcre2_code *code, pcre2_general_context *c), (code, c), NULL)
WRAP(pcre2_match_context *, pcre2_match_context_create_8, (pcre2_general_context * c), (c), NULL)

FILE *__real_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode);

/* What /proc tells is only for show, and may be missing. */
FILE *__wrap_fopen(const char *path, const char *mode) {
    return strncmp(path, "/proc/", 6) && short_of_memory() ? NULL : __real_fopen(path, mode);
}

static void *json_malloc(size_t n) {
    return __wrap_malloc(n);
}

/* Disk ------------------------------------------------------------------ */

ssize_t __real_write(int fd, const void *bytes, size_t n);
ssize_t __wrap_write(int fd, const void *bytes, size_t n);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

ssize_t __wrap_write(int fd, const void *bytes, size_t n) {
    struct stat st;
    long room = atomic_load(&fault.room);
    if ((!fault.chunk && room < 0) || fstat(fd, &st) || !S_ISREG(st.st_mode))
        return __real_write(fd, bytes, n);
    if (fault.chunk && n > (size_t)fault.chunk) n = (size_t)fault.chunk;
    if (room >= 0 && n > (size_t)room) n = (size_t)room;
    if (room == 0) {
        errno = ENOSPC;
        return -1;
    }
    ssize_t done = __real_write(fd, bytes, n);
    if (room > 0 && done > 0) atomic_fetch_sub(&fault.room, done);
    return done;
}

static int lost(void) {
    errno = EIO;
    return -1;
}

int __wrap_fsync(int fd) {
    return fault.no_sync ? lost() : __real_fsync(fd);
}

int __wrap_fdatasync(int fd) {
    return fault.no_sync ? lost() : __real_fdatasync(fd);
}

/* Heap ------------------------------------------------------------------ */

size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t allocated(void) {
    if (__sanitizer_get_current_allocated_bytes) return __sanitizer_get_current_allocated_bytes();
    struct mallinfo2 all = mallinfo2();
    return all.uordblks + all.hblkhd;
}

static void *watch_heap(void *path) {
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    while (fd >= 0) {
        dprintf(fd, "%zu\n", allocated());
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    }
    return NULL;
}

static void start_watching(char *path) {
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all); /* signals are for the threads that the program knows of */
    pthread_sigmask(SIG_BLOCK, &all, &before);
    if (!__real_pthread_create(&thread, NULL, watch_heap, path)) pthread_detach(thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* ----------------------------------------------------------------------- */

static long number(const char *name, long without) {
    const char *text = getenv(name);
    return text && *text ? strtol(text, NULL, 10) : without;
}

__attribute__((constructor)) static void read_environment(void) {
    void *first[1];
    const char *alloc = getenv("FAULT_ALLOC");
    backtrace(first, 1); /* loads what it needs, with memory of its own */
    fault.say = number("FAULT_SAY", 0);
    fault.chunk = number("FAULT_SHORT", 0);
    fault.room = number("FAULT_DISK", -1);
    fault.no_sync = number("FAULT_SYNC", 0);
    cJSON_InitHooks(&(cJSON_Hooks){json_malloc, free});
    if (getenv("FAULT_HEAP")) start_watching(getenv("FAULT_HEAP"));
    places.path = getenv("FAULT_TRACE");
    fault.from_there = alloc && strchr(alloc, '+');
    fault.fail_at = (unsigned long)number("FAULT_ALLOC", 0);
}
