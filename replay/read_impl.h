/* read_impl.h - what the reader's files share; private to replay/.
 *
 * read.c goes through the lines, read_header.c and read_step.c turn one into a header or a record, and
 * read_fields.c takes single checked values out of a JSON object. The reader holds the first error and goes
 * quiet after it: every function may be called on a reader that has failed and then returns an empty value,
 * so a line is read as straight code and `rc` is looked at before a value is used as an index, a length or a
 * pointer. Memory comes from `mem` and needs no release.
 */
#ifndef TABES_READ_IMPL_H
#define TABES_READ_IMPL_H

#include "replay/format.h"
#include "replay/replay.h"

typedef struct reader {
    const char *path; /* as messages show it */
    FILE *f;
    strbuf line;
    char chunk[1 << 14]; /* of the file; from chunk_at on it belongs to the next line */
    size_t chunk_at, chunk_n;
    size_t line_no;
    bool whole;             /* the line ends with a newline */
    bool lenient;           /* keep contradictions for verify */
    const json_value *root; /* of the line, in `tree` */
    json_tree tree;
    replay *rp;
    arena *mem;   /* of the record or the texts being filled */
    bool *masked; /* [n_tokens] scratch */
    int rc;
    err *e;
} reader;

/* Bounds: rounding may push a probability a hair past its end. */
#define P_LOW  (-1e-6)
#define P_HIGH (1 + 1e-6)
#define ANY    1.7976931348623157e308

/* Opens the file ("-": standard input) and runs `body` over it with numbers read as the C locale has them;
 * everything that the reader took is released, but for r->rp. Returns r->rc. */
int reader_run(reader *r, const char *path, void (*body)(reader *r), err *e);
/* The next line into r->line; false at the end of the file. */
bool reader_next_line(reader *r);
/* One trajectory from its header to its closing line, into a fresh r->rp; cut short is a fault here. */
void reader_trajectory(reader *r);

/* The first fault wins; it is placed at `item`, or at the line itself when NULL. */
void reader_fail_at(reader *r, const json_value *item, const char *fmt, ...) PRINTF_LIKE(3, 4);
void reader_fail_memory(reader *r);
/* Well-formed lines that contradict each other: a fault, except for verify. */
void reader_contradict(reader *r, const json_value *item, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* n zeroed items from `mem`. */
void *reader_take(reader *r, size_t n, size_t size);

/* A member of obj; a fault when it is missing. */
const json_value *reader_need(reader *r, const json_value *obj, const char *key);

/* Checked values: `v` itself, or the member `key` of obj. */
int64_t reader_as_int(reader *r, const json_value *v, const char *what, int64_t low, int64_t high);
double reader_as_real(reader *r, const json_value *v, const char *what, double low, double high);
int reader_get_int(reader *r, const json_value *obj, const char *key, int low, int high);
double reader_get_real(reader *r, const json_value *obj, const char *key, double low, double high);
bool reader_get_bool(reader *r, const json_value *obj, const char *key);
const char *reader_get_text(reader *r, const json_value *obj, const char *key, size_t size);
void reader_copy_text(reader *r, const json_value *obj, const char *key, char *buf, size_t size);

/* Arrays of exactly n items, or with n < 0 of up to `max`; *got is how many. Positions ascend strictly. */
const json_value *reader_as_array(reader *r, const json_value *v, const char *what, int n, int max, int *got);
int *reader_as_ints(reader *r, const json_value *v, const char *what, int n, int max, int low, int high,
                    int *got);
const int *reader_get_ids(reader *r, const json_value *obj, const char *key, int n);
const int *reader_get_positions(reader *r, const json_value *obj, const char *key, int *got);
const double *reader_get_reals(reader *r, const json_value *obj, const char *key, int n, double low,
                               double high);
/* NULL when the field is absent. */
const double *reader_maybe_reals(reader *r, const json_value *obj, const char *key, int n, double low,
                                 double high);

/* Refuses a known field given twice; *out gets the unknown ones as a JSON object, or stays NULL. */
void reader_keep_unknown(reader *r, const json_value *obj, const char *const *known, const char **out);

/* Lines: the texts of token ids, the header, and a step, which is appended to the trajectory. */
void read_texts(reader *r, const json_value *obj);
void read_header(reader *r);
/* `params` and `given` of obj for the policy of that name; *extra gets the parameters that are not known. */
void read_params(reader *r, const json_value *obj, const char *policy_name, param_set *out,
                 const char **extra);
void read_step(reader *r);

#endif
