/* safetensors.c - u64 header length, JSON header, tensor bytes; see the header for the checks. */
#include "engine/formats/safetensors.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/mem.h"
#include "engine/formats/mapping.h"

struct safetensors {
    arena mem;
    const char *path;
    mapping file;
    const unsigned char *data;
    size_t data_bytes;
    tensor *tensors;
    int n;
};

/* The reference reader's own limit on the header. */
#define HEADER_MAX ((uint64_t)100000000)

static const struct {
    char name[8];
    size_t bytes;
} dtypes[] = {{"F32", 4}, {"BF16", 2}, {"F16", 2}, {"F64", 8}, {"I64", 8}, {"U64", 8}, {"I32", 4},
              {"U32", 4}, {"I16", 2},  {"U16", 2}, {"I8", 1},  {"U8", 1},  {"BOOL", 1}};

static size_t dtype_bytes(const char *name, const char **canonical) {
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        if (strcmp(dtypes[i].name, name) == 0) {
            *canonical = dtypes[i].name;
            return dtypes[i].bytes;
        }
    }
    return 0;
}

/* Find header and data section. */
static int locate(safetensors *s, const char **header, size_t *header_bytes, err *e) {
    if (s->file.size < 8) {
        return err_set(e, ERR_BAD_FORMAT, "%s: %zu bytes long, expected at least 8 (truncated?)", s->path,
                       s->file.size);
    }
    uint64_t n = 0;
    for (int i = 7; i >= 0; i--) n = n << 8 | s->file.data[i];
    if (n > HEADER_MAX || n > s->file.size - 8) {
        return err_set(
            e, ERR_BAD_FORMAT,
            "%s: header of %llu bytes does not fit the file of %zu bytes (truncated or not safetensors)",
            s->path, (unsigned long long)n, s->file.size);
    }
    *header = (const char *)s->file.data + 8;
    *header_bytes = (size_t)n;
    s->data = s->file.data + 8 + n;
    s->data_bytes = s->file.size - 8 - (size_t)n;
    return 0;
}

/* A JSON number that is a whole number in [0, 2^53]. */
static bool whole(const cJSON *item, int64_t *out) {
    if (!cJSON_IsNumber(item)) return false;
    double v = item->valuedouble;
    if (!(v >= 0 && v <= 9007199254740992.0)) return false;
    *out = (int64_t)v;
    return (double)*out >= v && (double)*out <= v;
}

static int bad_tensor(const safetensors *s, const char *name, err *e, const char *why) {
    return err_set(e, ERR_BAD_FORMAT, "%s: tensor %.120s: %s", s->path, name, why);
}

static int read_shape(const safetensors *s, tensor *t, const cJSON *shape, size_t item_bytes, err *e) {
    if (!cJSON_IsArray(shape)) return bad_tensor(s, t->name, e, "shape is missing or not an array");
    int n = cJSON_GetArraySize(shape);
    if (n > TENSOR_MAX_DIMS) return bad_tensor(s, t->name, e, "more than 8 dimensions");
    size_t bytes = item_bytes;
    const cJSON *dim;
    cJSON_ArrayForEach(dim, shape) {
        int64_t v;
        if (!whole(dim, &v)) return bad_tensor(s, t->name, e, "a dimension is not a whole number");
        if (!size_mul(bytes, (size_t)v, &bytes)) return bad_tensor(s, t->name, e, "shape overflows");
        t->shape[t->n_dims++] = v;
    }
    t->bytes = bytes;
    return 0;
}

static int read_range(const safetensors *s, tensor *t, const cJSON *range, err *e) {
    int64_t begin, end;
    if (!cJSON_IsArray(range) || cJSON_GetArraySize(range) != 2 ||
        !whole(cJSON_GetArrayItem(range, 0), &begin) || !whole(cJSON_GetArrayItem(range, 1), &end) ||
        end < begin) {
        return bad_tensor(s, t->name, e, "data_offsets are not two ascending whole numbers");
    }
    if ((uint64_t)end > s->data_bytes) {
        return err_set(e, ERR_BAD_FORMAT, "%s: tensor %.120s: ends at byte %lld of %zu (truncated file?)",
                       s->path, t->name, (long long)end, s->data_bytes);
    }
    if ((size_t)(end - begin) != t->bytes) {
        return err_set(e, ERR_BAD_FORMAT, "%s: tensor %.120s: %lld bytes, expected %zu from dtype and shape",
                       s->path, t->name, (long long)(end - begin), t->bytes);
    }
    t->begin = (size_t)begin;
    t->data = s->data + t->begin;
    return 0;
}

static int read_tensor(safetensors *s, const cJSON *item, err *e) {
    tensor *t = &s->tensors[s->n];
    t->name = arena_strdup(&s->mem, item->string);
    if (!t->name) return err_set(e, ERR_NO_MEMORY, "%s: out of memory", s->path);
    if (!cJSON_IsObject(item)) return bad_tensor(s, t->name, e, "not an object");
    const char *dtype = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "dtype"));
    if (!dtype) return bad_tensor(s, t->name, e, "dtype is missing");
    size_t item_bytes = dtype_bytes(dtype, &t->dtype);
    if (!item_bytes) {
        return err_set(e, ERR_UNSUPPORTED, "%s: tensor %.120s: dtype %.20s is not supported", s->path,
                       t->name, dtype);
    }
    int rc = read_shape(s, t, cJSON_GetObjectItemCaseSensitive(item, "shape"), item_bytes, e);
    if (!rc) rc = read_range(s, t, cJSON_GetObjectItemCaseSensitive(item, "data_offsets"), e);
    if (!rc) s->n++;
    return rc;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const tensor *)a)->name, ((const tensor *)b)->name);
}

static int by_range(const void *a, const void *b) {
    const tensor *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

/* Sorted by offset the ranges must follow each other and end with the file. */
static int check_tiling(safetensors *s, err *e) {
    size_t end = 0;
    qsort(s->tensors, (size_t)s->n, sizeof *s->tensors, by_range);
    for (int i = 0; i < s->n; i++) {
        const tensor *t = &s->tensors[i];
        if (t->begin != end) {
            return bad_tensor(s, t->name, e,
                              t->begin < end ? "overlaps another tensor" : "leaves a gap before it");
        }
        end += t->bytes;
    }
    if (end == s->data_bytes) return 0;
    return err_set(e, ERR_BAD_FORMAT, "%s: %zu bytes after the last tensor", s->path, s->data_bytes - end);
}

static int check_names(safetensors *s, err *e) {
    qsort(s->tensors, (size_t)s->n, sizeof *s->tensors, by_name);
    for (int i = 1; i < s->n; i++) {
        if (by_name(&s->tensors[i - 1], &s->tensors[i]) == 0) {
            return bad_tensor(s, s->tensors[i].name, e, "named twice");
        }
    }
    return 0;
}

static int read_tensors(safetensors *s, const cJSON *root, err *e) {
    s->tensors = arena_new(&s->mem, (size_t)cJSON_GetArraySize(root) + 1, sizeof *s->tensors);
    if (!s->tensors) return err_set(e, ERR_NO_MEMORY, "%s: out of memory", s->path);
    const cJSON *item;
    cJSON_ArrayForEach(item, root) {
        if (strcmp(item->string, "__metadata__") == 0) continue;
        int rc = read_tensor(s, item, e);
        if (rc) return rc;
    }
    int rc = check_tiling(s, e);
    return rc ? rc : check_names(s, e);
}

static int read_header(safetensors *s, err *e) {
    const char *text = NULL, *end = NULL;
    size_t n = 0;
    int rc = locate(s, &text, &n, e);
    if (rc) return rc;
    cJSON *root = cJSON_ParseWithLengthOpts(text, n, &end, false);
    bool rest_blank = root && end;
    for (; rest_blank && end < text + n; end++) rest_blank = *end == ' ' || *end == '\n' || *end == '\0';
    if (!rest_blank || !cJSON_IsObject(root)) {
        rc = err_set(e, ERR_BAD_FORMAT, "%s: the header is not a JSON object", s->path);
    } else {
        rc = read_tensors(s, root, e);
    }
    cJSON_Delete(root);
    return rc;
}

int safetensors_open(safetensors **out, const char *path, err *e) {
    *out = NULL;
    safetensors *s = mem_new(1, sizeof *s);
    if (!s || !(s->path = arena_strdup(&s->mem, path))) {
        safetensors_close(s);
        return err_set(e, ERR_NO_MEMORY, "%s: out of memory", path);
    }
    int rc = mapping_open(&s->file, path, e);
    if (!rc) rc = read_header(s, e);
    if (rc) {
        safetensors_close(s);
        return rc;
    }
    *out = s;
    return 0;
}

void safetensors_close(safetensors *s) {
    if (!s) return;
    mapping_close(&s->file);
    arena_release(&s->mem);
    free(s);
}

const tensor *safetensors_find(const safetensors *s, const char *name) {
    tensor wanted = {.name = name};
    return bsearch(&wanted, s->tensors, (size_t)s->n, sizeof *s->tensors, by_name);
}

int safetensors_count(const safetensors *s) {
    return s->n;
}

const tensor *safetensors_at(const safetensors *s, int i) {
    return &s->tensors[i];
}

const char *safetensors_path(const safetensors *s) {
    return s->path;
}
