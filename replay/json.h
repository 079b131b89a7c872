/* json.h - what the trajectory files need beyond cJSON: exact numbers, places in a line, clean text.
 *
 * cJSON builds, prints and parses the trees. It prints a real with 15 digits when that is nearly
 * the same number, so reals go in as raw text made here, which strtod reads back to the last bit.
 * Columns count bytes of the line from 1.
 */
#ifndef TABES_REPLAY_JSON_H
#define TABES_REPLAY_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "engine/base/strbuf.h"

/* Trees being built. After a failed allocation or a number that is not finite further calls do
 * nothing; json_out_check says which it was. */
typedef struct json_out {
    bool failed;
    const char *not_finite; /* key of the offending number, or NULL */
} json_out;

cJSON *json_object(json_out *o, cJSON *parent, const char *key); /* parent NULL: a root */
void json_text(json_out *o, cJSON *obj, const char *key,
               const char *s); /* bytes that are not UTF-8 become '?' */
void json_bool(json_out *o, cJSON *obj, const char *key, bool v);
void json_int(json_out *o, cJSON *obj, const char *key, int64_t v);
void json_real(json_out *o, cJSON *obj, const char *key, double v);
void json_ints(json_out *o, cJSON *obj, const char *key, const int *v, int n);
void json_reals(json_out *o, cJSON *obj, const char *key, const double *v, int n);
void json_raw(json_out *o, cJSON *obj, const char *key, const char *raw);
int json_out_check(const json_out *o, const char *what, err *e) MUST_CHECK;

/* Appends the shortest of 15, 16 or 17 digits that reads back exactly; false when v is not finite. */
bool json_put_real(strbuf *b, double v);

/* Appends the object without spaces and with the fields of `extra` (the text of another object, or NULL) at
 * its end. */
int json_put_object(strbuf *b, const cJSON *obj, const char *extra, err *e) MUST_CHECK;

/* Length of the valid UTF-8 prefix of n bytes; a NUL byte ends it too. */
size_t json_utf8_prefix(const char *s, size_t n);

/* Parses one line of n bytes (data[n] is NUL) that must be a single JSON object: valid UTF-8, no control
 * characters, nesting of at most JSON_DEPTH. NULL with *column and *why set on failure. */
enum { JSON_DEPTH = 32 };
cJSON *json_parse_line(const char *line, size_t n, size_t *column, const char **why);

/* Offset in `line` of the value of `item`, which is `root` or lies under it. */
size_t json_locate(const cJSON *root, const cJSON *item, const char *line);

/* The fields of `obj` (found at text `at`) whose names are not in the NULL-terminated `known`, as the text of
 * an object with their digits untouched, appended to *extra; nothing when there are none. Returns the second
 * of two fields of the same known name, or NULL. */
const cJSON *json_unknown(const cJSON *obj, const char *at, const char *const *known, strbuf *extra);

#endif
