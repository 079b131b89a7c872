/* nfc.c - NFC in time that grows with the text. utf8proc_map moves one mark at a time to where it belongs,
 * which for a text of nothing but marks took an hour for a megabyte; here they are sorted before it composes.
 */
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "engine/base/mem.h"
#include "engine/tokenizer/impl.h"

enum { MOST_FROM_ONE = 18, SHORT_RUN = 16, CLASSES = 256 };

static const utf8proc_option_t OPTIONS = UTF8PROC_STABLE | UTF8PROC_COMPOSE;

typedef struct points {
    int32_t *v;
    size_t n, cap;
} points;

/* The canonical decomposition, in the order in which it comes. */
static utf8proc_ssize_t decompose(points *p, const char *s, size_t n) {
    for (size_t i = 0; i < n;) {
        utf8proc_int32_t cp;
        utf8proc_ssize_t step =
            utf8proc_iterate((const utf8proc_uint8_t *)s + i, (utf8proc_ssize_t)(n - i), &cp);
        void *v = p->v;
        if (step < 0) return step;
        if (!mem_grow(&v, &p->cap, p->n + MOST_FROM_ONE + 1, sizeof *p->v)) return UTF8PROC_ERROR_NOMEM;
        p->v = v;
        utf8proc_ssize_t k = utf8proc_decompose_char(cp, p->v + p->n, MOST_FROM_ONE, OPTIONS, NULL);
        if (k < 0 || k > MOST_FROM_ONE) return k < 0 ? k : UTF8PROC_ERROR_OVERFLOW;
        p->n += (size_t)k;
        i += (size_t)step;
    }
    return 0;
}

static int class_of(int32_t cp) {
    return utf8proc_get_property(cp)->combining_class & (CLASSES - 1);
}

/* Marks of a lower class first; those of one class stay in their order. */
static void sort_short(int32_t *v, size_t n) {
    for (size_t i = 1; i < n; i++) {
        int32_t cp = v[i];
        size_t at = i;
        for (; at && class_of(v[at - 1]) > class_of(cp); at--) v[at] = v[at - 1];
        v[at] = cp;
    }
}

static bool sort_long(int32_t *v, size_t n) {
    size_t starts[CLASSES + 1] = {0};
    int32_t *copy = mem_copy(v, n, sizeof *v);
    if (!copy) return false;
    for (size_t i = 0; i < n; i++) starts[class_of(v[i]) + 1]++;
    for (int k = 0; k < CLASSES; k++) starts[k + 1] += starts[k];
    for (size_t i = 0; i < n; i++) v[starts[class_of(copy[i])]++] = copy[i];
    free(copy);
    return true;
}

static bool sort_marks(points *p) {
    for (size_t i = 0, end; i < p->n; i = end + 1) {
        for (end = i; end < p->n && class_of(p->v[end]); end++) {}
        if (end - i <= SHORT_RUN) {
            sort_short(p->v + i, end - i);
        } else if (!sort_long(p->v + i, end - i)) {
            return false;
        }
    }
    return true;
}

int text_nfc(const char *s, size_t n, char **out, size_t *len, err *e) {
    points p = {0};
    utf8proc_ssize_t rc = decompose(&p, s, n);
    if (!rc && !sort_marks(&p)) rc = UTF8PROC_ERROR_NOMEM;
    if (!rc && p.n) rc = utf8proc_reencode(p.v, (utf8proc_ssize_t)p.n, OPTIONS);
    *out = (char *)p.v;
    *len = rc > 0 ? (size_t)rc : 0;
    if (rc >= 0) return 0;
    free(p.v);
    *out = NULL;
    return err_set(e, rc == UTF8PROC_ERROR_NOMEM ? ERR_NO_MEMORY : ERR_BAD_ARGUMENT, "%s",
                   utf8proc_errmsg(rc));
}
