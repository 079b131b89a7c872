/* strbuf.c - growing byte strings; see the header for the invariants. */
#include "engine/base/strbuf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char empty[1];

void strbuf_init(strbuf *b, size_t max) {
    *b = (strbuf){.data = empty, .max = max};
}

void strbuf_release(strbuf *b) {
    if (b->cap) free(b->data);
    strbuf_init(b, b->max);
}

void strbuf_clear(strbuf *b) {
    b->len = 0;
    b->failed = b->no_memory = false;
    if (b->cap) b->data[0] = '\0';
}

static bool reserve(strbuf *b, size_t more) {
    if (b->failed || more > b->max - b->len) {
        b->failed = true;
        return false;
    }
    size_t need = b->len + more + 1, cap = b->cap ? b->cap : 64;
    if (need <= b->cap) return true;
    while (cap < need) cap *= 2;
    char *p = realloc(b->cap ? b->data : NULL, cap);
    if (!p) {
        b->failed = b->no_memory = true;
        return false;
    }
    b->data = p;
    b->cap = cap;
    b->data[b->len] = '\0';
    return true;
}

void strbuf_add(strbuf *b, const void *bytes, size_t n) {
    if (!n || !reserve(b, n)) return;
    memcpy(b->data + b->len, bytes, n);
    b->len += n;
    b->data[b->len] = '\0';
}

void strbuf_puts(strbuf *b, const char *s) {
    strbuf_add(b, s, strlen(s));
}

void strbuf_putc(strbuf *b, char c) {
    strbuf_add(b, &c, 1);
}

void strbuf_printf(strbuf *b, const char *fmt, ...) {
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0) {
        b->failed = true;
    } else if (n > 0 && reserve(b, (size_t)n)) {
        vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
}

char *strbuf_take(strbuf *b, size_t *len) {
    char *p = NULL;
    if (!b->failed && reserve(b, 0)) {
        p = b->data;
        if (len) *len = b->len;
        b->cap = 0;
    }
    strbuf_release(b);
    return p;
}

int strbuf_fault(const strbuf *b, const char *what, err *e) {
    if (b->no_memory) return err_set(e, ERR_NO_MEMORY, "%s: out of memory", what);
    return err_set(e, ERR_BAD_FORMAT, "%s: larger than %zu bytes", what, b->max);
}

void strbuf_share_fault(strbuf *b, const strbuf *part) {
    if (part->no_memory) b->failed = b->no_memory = true;
}

int strbuf_read_file(strbuf *b, const char *path, size_t max, err *e) {
    strbuf_init(b, max);
    FILE *f = fopen(path, "rb");
    struct stat st;
    if (!f) return err_set(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %s", path, strerror(errno));
    int rc = 0;
    if (fstat(fileno(f), &st) == 0 && S_ISDIR(st.st_mode)) {
        rc = err_set(e, ERR_IO, "%s: is a directory, expected a file", path);
    }
    char chunk[16384];
    size_t n;
    while (!rc && (n = fread(chunk, 1, sizeof chunk, f)) > 0) {
        strbuf_add(b, chunk, n);
        if (b->failed) rc = strbuf_fault(b, path, e);
    }
    if (!rc && ferror(f)) rc = err_set(e, ERR_IO, "%s: %s", path, strerror(errno));
    fclose(f);
    if (rc) strbuf_release(b);
    return rc;
}
