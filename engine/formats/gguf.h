/* gguf.h - read one GGUF file, version 2 or 3: metadata and tensors.
 *
 * The file is mapped; everything before the tensors' data is checked whole before anything is handed out:
 * every length and count against the bytes that are left, keys and names for being unique, every tensor's
 * range against the file and against the others. Values and tensors point into the mapping or the file's own
 * memory and live until close. Dimensions, which the file lists fastest first, are turned round: a matrix
 * has shape [out][in] here as everywhere.
 */
#ifndef TABES_FORMATS_GGUF_H
#define TABES_FORMATS_GGUF_H

#include <stdbool.h>

#include "engine/base/status.h"
#include "engine/formats/tensor.h"

typedef struct gguf gguf;

typedef enum gguf_kind { GGUF_WHOLE, GGUF_REAL, GGUF_BOOL, GGUF_TEXT, GGUF_LIST } gguf_kind;

/* A metadata value: integers of any width are GGUF_WHOLE, floats of any width GGUF_REAL. */
typedef struct gguf_value {
    const char *key;
    gguf_kind kind, item; /* item: of a list; lists of lists are refused */
    double number;        /* WHOLE, REAL, BOOL; a whole number is exact up to 2^53 */
    const char *text;     /* TEXT: `count` bytes, without a NUL of its own */
    uint64_t count;       /* TEXT: bytes; LIST: items */
    /* private */
    const unsigned char *items;
    uint32_t item_type;
} gguf_value;

/* *out is NULL on failure; the message starts with the path. */
int gguf_open(gguf **out, const char *path, err *e) MUST_CHECK;
void gguf_close(gguf *g);
const char *gguf_path(const gguf *g);

int gguf_n_values(const gguf *g);
const gguf_value *gguf_value_at(const gguf *g, int i);
/* NULL when there is no such key. */
const gguf_value *gguf_find(const gguf *g, const char *key);

/* Walks a list of texts or of numbers from a zeroed cursor; false at its end, or when it is of another kind.
 */
typedef struct gguf_cursor {
    uint64_t index;
    size_t offset;
} gguf_cursor;
bool gguf_next_text(const gguf_value *v, gguf_cursor *c, const char **text, size_t *len);
bool gguf_next_number(const gguf_value *v, gguf_cursor *c, double *out);

int gguf_count(const gguf *g);
const tensor *gguf_at(const gguf *g, int i);

#endif
