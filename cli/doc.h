/* doc.h - writes one JSON document into a string buffer.
 *
 * Numbers read back to the same value: a double gets the fewest digits that do, a float32 nine.
 * NaN and infinity become null. Strings may hold any bytes; what is not UTF-8 becomes U+FFFD.
 * A key is NULL inside an array.
 *
 *     doc j;  doc_init(&j);
 *     doc_object(&j, NULL);  doc_real(&j, "h", 0.5);  doc_end(&j);
 *     rc = doc_print(&j);
 */
#ifndef TABES_DOC_H
#define TABES_DOC_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/strbuf.h"
#include "engine/param.h"

enum { DOC_DEPTH = 16 };

typedef struct doc {
    strbuf text;
    char closers[DOC_DEPTH];
    int depth;
    bool comma; /* the next value needs one before it */
} doc;

void doc_init(doc *j);
void doc_release(doc *j);

void doc_object(doc *j, const char *key);
void doc_array(doc *j, const char *key);
void doc_end(doc *j); /* closes the innermost object or array */

void doc_real(doc *j, const char *key, double v);
void doc_float(doc *j, const char *key, float v);
void doc_int(doc *j, const char *key, int64_t v);
void doc_uint(doc *j, const char *key, uint64_t v);
void doc_bool(doc *j, const char *key, bool v);
void doc_null(doc *j, const char *key);
void doc_string(doc *j, const char *key, const char *s);
void doc_bytes(doc *j, const char *key, const char *s, size_t n);

void doc_reals(doc *j, const char *key, const double *v, int n);
void doc_ints(doc *j, const char *key, const int *v, int n);
void doc_ids(doc *j, const char *key, const int32_t *v, int n);

/* One parameter as its own type, and a whole set as an object. Fields are spelled with '_' where options have
 * '-'. */
void doc_param(doc *j, const char *key, const param_set *s, int i);
void doc_params(doc *j, const char *key, const param_set *s);
void doc_field_name(const char *option, char *buf, size_t size);

/* The document and a newline on standard output, everything closed; releases it. 0, or ERR_NO_MEMORY with
 * nothing printed. */
int doc_print(doc *j, err *e) MUST_CHECK;

/* Appends text with everything that could disturb a terminal or break UTF-8 replaced; newlines and tabs stay
 * when `keep_layout`. */
void text_clean(strbuf *out, const char *s, size_t n, bool keep_layout);

#endif
