/* status.h - result codes and the caller's error message.
 *
 * Every fallible function returns 0 or a negative code from STATUS_LIST and, on failure,
 * writes one line into the caller's `err`. The place that detects a fault writes the
 * message; callers put context in front with err_prefix(). There is no global last error,
 * so worker threads and the status bar need no special care.
 *
 *     err e = {0};
 *     if (model_open(&m, path, NULL, &e)) { fprintf(stderr, "tabes: %s\n", e.msg); return 2; }
 */
#ifndef TABES_BASE_STATUS_H
#define TABES_BASE_STATUS_H

#define STATUS_LIST(X)                                                                                       \
    X(OK, 0, "ok")                                                                                           \
    X(NOT_FOUND, -1, "not found")                                                                            \
    X(BAD_FORMAT, -2, "bad format")                                                                          \
    X(BAD_ARGUMENT, -3, "bad argument")                                                                      \
    X(NO_MEMORY, -4, "out of memory")                                                                        \
    X(NO_DEVICE, -5, "no such device")                                                                       \
    X(CANCELLED, -6, "cancelled")                                                                            \
    X(IO, -7, "input/output error")                                                                          \
    X(UNSUPPORTED, -8, "not supported")                                                                      \
    X(DIFFERS, -9, "results differ")

typedef enum status {
#define X(name, value, text) ERR_##name = (value),
    STATUS_LIST(X)
#undef X
} status;

typedef struct err {
    int code;      /* a status; ERR_OK while nothing failed */
    char msg[400]; /* one line, no newline at the end; always NUL-terminated */
} err;

#define MUST_CHECK             __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#if defined(__GNUC__) && !defined(__clang__)
#define OWNED_BY(closer) __attribute__((malloc, malloc(closer, 1)))
#else
#define OWNED_BY(closer)
#endif

/* Short text of a code ("bad format"). Never NULL. */
const char *status_text(int code);

/* Fill `e` (which may be NULL) with the code and a formatted line; what could steer a terminal and bytes that
 * are not UTF-8 are replaced by '?' (utf8_tame). Returns `code`, so that `return err_set(...)` reads well. */
int err_set(err *e, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Put "context: " in front of the message already in `e`. Returns e->code (or -1 if e is NULL). */
int err_prefix(err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Static analysis looks at one file at a time and would follow their "success" (scripts/analyse.sh). */
#ifdef TABES_ANALYSIS
#define err_set(e, code, ...) (err_set(e, code, __VA_ARGS__), (code))
#define err_prefix(e, ...)    (err_prefix(e, __VA_ARGS__), ERR_BAD_FORMAT)
#endif

#endif
