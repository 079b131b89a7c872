/* json.h - JSON for the trajectory files, out and in.
 *
 * Out: cJSON builds and prints the trees. It prints a real with 15 digits when that is nearly the
 * same number, so reals go in as raw text made here, which strtod reads back to the last bit.
 *
 * In: a line of a long recording holds ten thousand numbers and a file five hundred such lines, so lines
 * have a parser of their own, which keeps the place of every value and allocates nothing per value.
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
/* The same as a line: without its newline the next one would end up behind it. */
int json_put_line(strbuf *b, const cJSON *obj, const char *extra, err *e) MUST_CHECK;

/* Length of the valid UTF-8 prefix of n bytes; a NUL byte ends it too. */
size_t json_utf8_prefix(const char *s, size_t n);

/* A parsed line -------------------------------------------------------- */

typedef enum json_kind { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT } json_kind;

typedef struct json_value {
    const struct json_value *next;  /* in the same array or object */
    const struct json_value *child; /* the first one in this; NULL: none */
    const char *name;               /* of a member of an object, else NULL */
    const char *text;               /* of a string, else NULL */
    double number;                  /* of a number; of a bool 0 or 1 */
    uint32_t from, at, end;         /* bytes of the line: with its name from `from`, the value from `at` */
    int n;                          /* how many are in this */
    json_kind kind;
} json_value;

/* Memory for the tree of one line at a time. Zeroed is empty. */
typedef struct json_tree {
    json_value *values;
    size_t n, cap;
    char *text;
    size_t cap_text;
} json_tree;

void json_tree_release(json_tree *t);

/* Parses one line of n bytes (data[n] is NUL) that must be a single JSON object: valid UTF-8, no control
 * characters, nesting of at most JSON_DEPTH. The tree lives until the next line. NULL with *column and *why
 * set on failure. Numbers are read as strtod reads them; the thread's locale must have a decimal point. */
enum { JSON_DEPTH = 32 };
const json_value *json_parse_line(json_tree *t, const char *line, size_t n, size_t *column, const char **why);

static inline bool json_is(const json_value *v, json_kind kind) {
    return v && v->kind == kind;
}

/* The first member of that name, or NULL; also NULL when obj is no object. */
const json_value *json_find(const json_value *obj, const char *key);

/* The fields of `obj` whose names are not in the NULL-terminated `known`, as the text of an object with their
 * digits untouched, appended to *extra; nothing when there are none. Returns the second of two fields of the
 * same known name, or NULL. */
const json_value *json_unknown(const json_value *obj, const char *line, const char *const *known,
                               strbuf *extra);

#endif
