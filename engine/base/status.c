/* status.c - formats error lines. Messages may quote bytes of hostile files, so what steers a terminal is
 * replaced here, once, before any message can reach one. */
#include "engine/base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/utf8.h"

const char *status_text(int code) {
    switch (code) {
#define X(name, value, text)                                                                                 \
    case value:                                                                                              \
        return text;
        STATUS_LIST(X)
#undef X
    default:
        return "unknown error";
    }
}

int(err_set)(err *e, int code, const char *fmt, ...) {
    if (!e) return code;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e->msg, sizeof e->msg, fmt, ap);
    va_end(ap);
    utf8_tame(e->msg);
    e->code = code;
    return code;
}

int(err_prefix)(err *e, const char *fmt, ...) {
    if (!e) return ERR_BAD_ARGUMENT;
    char head[sizeof e->msg], joined[2 * sizeof e->msg + 2];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(head, sizeof head, fmt, ap);
    va_end(ap);
    snprintf(joined, sizeof joined, "%s: %s", head, e->msg);
    joined[sizeof e->msg - 1] = '\0';
    memcpy(e->msg, joined, sizeof e->msg);
    utf8_tame(e->msg);
    return e->code;
}
