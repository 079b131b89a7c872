/* gguf.c - a cursor over the mapping that cannot leave it, and what it reads. */
#include "engine/formats/gguf.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/mem.h"
#include "engine/formats/mapping.h"
#include "kernels/blocks.h"

enum {
    KEY_MAX_BYTES = 65535,
    NAME_MAX_BYTES = 255,
    MAX_DIMS = 4,
    DEFAULT_ALIGNMENT = 32,
    MAX_COUNT = 1 << 20
};

/* The file's own numbers for the types of values. */
enum { T_U8, T_I8, T_U16, T_I16, T_U32, T_I32, T_F32, T_BOOL, T_TEXT, T_LIST, T_U64, T_I64, T_F64, N_TYPES };

struct gguf {
    arena mem;
    const char *path;
    mapping file;
    size_t at, data; /* bytes read; where the data section starts */
    uint64_t n_values, n_tensors;
    gguf_value *values; /* in order of key once read */
    tensor *tensors;
    size_t alignment;
};

static size_t left(const gguf *g) {
    return g->file.size - g->at;
}

static int truncated(const gguf *g, const char *what, err *e) {
    return err_set(e, ERR_BAD_FORMAT, "%s: ends inside %s, at byte %zu (truncated?)", g->path, what, g->at);
}

static int no_memory(const gguf *g, err *e) {
    return err_set(e, ERR_NO_MEMORY, "%s: out of memory", g->path);
}

/* ---- numbers and texts ---- */

static uint64_t number_at(const unsigned char *p, size_t bytes) {
    uint64_t v = 0;
    for (size_t i = bytes; i-- > 0;) v = v << 8 | p[i];
    return v;
}

static int take_number(gguf *g, size_t bytes, uint64_t *out, const char *what, err *e) {
    *out = 0;
    if (left(g) < bytes) return truncated(g, what, e);
    *out = number_at(g->file.data + g->at, bytes);
    g->at += bytes;
    return 0;
}

/* Length and bytes, at most `most` of them. */
static int take_text(gguf *g, size_t most, const char **text, uint64_t *len, const char *what, err *e) {
    int rc = take_number(g, 8, len, what, e);
    if (rc) return rc;
    if (*len > left(g)) return truncated(g, what, e);
    if (*len > most) {
        return err_set(e, ERR_BAD_FORMAT, "%s: %s of %llu bytes, expected at most %zu", g->path, what,
                       (unsigned long long)*len, most);
    }
    *text = (const char *)g->file.data + g->at;
    g->at += (size_t)*len;
    return 0;
}

/* A text that becomes a C string: it may not hold a NUL. */
static int take_name(gguf *g, size_t most, const char **out, const char *what, err *e) {
    const char *text = NULL;
    uint64_t len = 0;
    int rc = take_text(g, most, &text, &len, what, e);
    if (rc) return rc;
    char *copy = arena_new(&g->mem, (size_t)len + 1, 1);
    if (!copy) return no_memory(g, e);
    if (len) memcpy(copy, text, (size_t)len);
    *out = copy;
    if (len && strlen(copy) == len) return 0;
    return err_set(e, ERR_BAD_FORMAT, "%s: %s is empty or holds a NUL, before byte %zu", g->path, what,
                   g->at);
}

/* ---- values ---- */

/* Bytes of a scalar; 0 for texts and lists. */
static size_t scalar_bytes(uint32_t type) {
    static const unsigned char bytes[N_TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return bytes[type];
}

static gguf_kind kind_of(uint32_t type) {
    if (type == T_F32 || type == T_F64) return GGUF_REAL;
    if (type == T_BOOL) return GGUF_BOOL;
    if (type == T_TEXT) return GGUF_TEXT;
    return type == T_LIST ? GGUF_LIST : GGUF_WHOLE;
}

static double scalar_value(const unsigned char *p, uint32_t type) {
    uint64_t u = number_at(p, scalar_bytes(type));
    uint32_t low = (uint32_t)u;
    float f;
    double d;
    switch (type) {
    case T_I8:
        return (int8_t)low;
    case T_I16:
        return (int16_t)low;
    case T_I32:
        return (int32_t)low;
    case T_I64:
        return (double)(int64_t)u;
    case T_F32:
        memcpy(&f, &low, sizeof f);
        return (double)f;
    case T_F64:
        memcpy(&d, &u, sizeof d);
        return d;
    default:
        return (double)u;
    }
}

/* Count and items; each item is known to lie in the file afterwards. */
static int take_list(gguf *g, gguf_value *v, err *e) {
    uint64_t type = 0, len = 0;
    const char *text = NULL;
    int rc = take_number(g, 4, &type, v->key, e);
    if (!rc) rc = take_number(g, 8, &v->count, v->key, e);
    if (rc) return rc;
    if (type >= N_TYPES || type == T_LIST) {
        return err_set(e, ERR_UNSUPPORTED, "%s: %.100s: a list of type %llu is not supported", g->path,
                       v->key, (unsigned long long)type);
    }
    v->item_type = (uint32_t)type;
    v->item = kind_of(v->item_type);
    v->items = g->file.data + g->at;
    size_t bytes = scalar_bytes(v->item_type), least = bytes ? bytes : 8;
    if (v->count > left(g) / least) return truncated(g, v->key, e);
    if (bytes) {
        g->at += (size_t)v->count * bytes;
        return 0;
    }
    for (uint64_t i = 0; i < v->count && !rc; i++) rc = take_text(g, SIZE_MAX, &text, &len, v->key, e);
    return rc;
}

static int take_value(gguf *g, gguf_value *v, err *e) {
    uint64_t type = 0;
    int rc = take_name(g, KEY_MAX_BYTES, &v->key, "a key", e);
    if (!rc) rc = take_number(g, 4, &type, v->key, e);
    if (rc) return rc;
    if (type >= N_TYPES) {
        return err_set(e, ERR_BAD_FORMAT, "%s: %.100s: unknown type %llu", g->path, v->key,
                       (unsigned long long)type);
    }
    v->kind = kind_of((uint32_t)type);
    if (v->kind == GGUF_TEXT) return take_text(g, SIZE_MAX, &v->text, &v->count, v->key, e);
    if (v->kind == GGUF_LIST) return take_list(g, v, e);
    size_t bytes = scalar_bytes((uint32_t)type);
    if (left(g) < bytes) return truncated(g, v->key, e);
    v->number = scalar_value(g->file.data + g->at, (uint32_t)type);
    g->at += bytes;
    return 0;
}

static int by_key(const void *a, const void *b) {
    return strcmp(((const gguf_value *)a)->key, ((const gguf_value *)b)->key);
}

static int take_values(gguf *g, err *e) {
    g->values = arena_new(&g->mem, (size_t)g->n_values + 1, sizeof *g->values);
    if (!g->values) return no_memory(g, e);
    for (uint64_t i = 0; i < g->n_values; i++) {
        int rc = take_value(g, &g->values[i], e);
        if (rc) return rc;
    }
    qsort(g->values, (size_t)g->n_values, sizeof *g->values, by_key);
    for (uint64_t i = 1; i < g->n_values; i++) {
        if (by_key(&g->values[i - 1], &g->values[i])) continue;
        return err_set(e, ERR_BAD_FORMAT, "%s: the key %.100s appears twice", g->path, g->values[i].key);
    }
    return 0;
}

static int take_alignment(gguf *g, err *e) {
    const gguf_value *v = gguf_find(g, "general.alignment");
    g->alignment = DEFAULT_ALIGNMENT;
    if (!v) return 0;
    double n = v->number;
    if (v->kind == GGUF_WHOLE && n >= 1 && n <= 1 << 20) g->alignment = (size_t)n;
    if (v->kind == GGUF_WHOLE && n >= 1 && n <= 1 << 20 && (g->alignment & (g->alignment - 1)) == 0) return 0;
    return err_set(e, ERR_BAD_FORMAT, "%s: general.alignment: expected a power of two up to 2^20", g->path);
}

/* ---- tensors ---- */

/* GGML's number of a type; the names are those of kernels/blocks.h. Others are listed to be named. */
static const struct {
    uint32_t number;
    k_dtype type;
} types[] = {{0, K_F32},   {1, K_F16},   {2, K_Q4_0},  {3, K_Q4_1},  {6, K_Q5_0},  {7, K_Q5_1}, {8, K_Q8_0},
             {10, K_Q2_K}, {11, K_Q3_K}, {12, K_Q4_K}, {13, K_Q5_K}, {14, K_Q6_K}, {30, K_BF16}};

static int bad_tensor(const gguf *g, const tensor *t, int code, const char *why, err *e) {
    return err_set(e, code, "%s: tensor %.120s: %s", g->path, t->name, why);
}

static int find_type(const gguf *g, const tensor *t, uint64_t number, k_dtype *out, err *e) {
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (types[i].number != number) continue;
        *out = types[i].type;
        return 0;
    }
    return err_set(e, ERR_UNSUPPORTED,
                   "%s: tensor %.120s: GGML type %llu is not supported (F32, F16, BF16, Q8_0, Q4_0, Q4_1, "
                   "Q5_0, Q5_1 and Q2_K to Q6_K are)",
                   g->path, t->name, (unsigned long long)number);
}

static int take_shape(gguf *g, tensor *t, err *e) {
    uint64_t n = 0, dim = 0;
    int rc = take_number(g, 4, &n, "a tensor's shape", e);
    if (rc) return rc;
    if (n < 1 || n > MAX_DIMS) return bad_tensor(g, t, ERR_BAD_FORMAT, "expected 1 to 4 dimensions", e);
    t->n_dims = (int)n;
    for (int i = t->n_dims - 1; i >= 0 && !rc; i--) {
        rc = take_number(g, 8, &dim, "a tensor's shape", e);
        if (!rc && (dim < 1 || dim > INT32_MAX))
            rc = bad_tensor(g, t, ERR_BAD_FORMAT, "a dimension is not between 1 and 2^31", e);
        if (!rc) t->shape[i] = (int64_t)dim;
    }
    return rc;
}

static int measure(const gguf *g, tensor *t, k_dtype type, err *e) {
    k_block_type b = k_block_of(type);
    int64_t width = t->shape[t->n_dims - 1];
    if (width % b.elements) {
        return err_set(e, ERR_BAD_FORMAT, "%s: tensor %.120s: rows of %lld, expected a multiple of %d for %s",
                       g->path, t->name, (long long)width, b.elements, b.name);
    }
    t->dtype = b.name;
    t->bytes = (size_t)(width / b.elements) * (size_t)b.bytes;
    for (int i = 0; i < t->n_dims - 1; i++) {
        if (!size_mul(t->bytes, (size_t)t->shape[i], &t->bytes))
            return bad_tensor(g, t, ERR_BAD_FORMAT, "its shape overflows", e);
    }
    return 0;
}

static int take_tensor(gguf *g, tensor *t, err *e) {
    uint64_t number = 0, offset = 0;
    k_dtype type = K_F32;
    int rc = take_name(g, NAME_MAX_BYTES, &t->name, "a tensor's name", e);
    if (!rc) rc = take_shape(g, t, e);
    if (!rc) rc = take_number(g, 4, &number, "a tensor's type", e);
    if (!rc) rc = take_number(g, 8, &offset, "a tensor's offset", e);
    if (!rc) rc = find_type(g, t, number, &type, e);
    if (!rc) rc = measure(g, t, type, e);
    if (rc) return rc;
    if (offset % g->alignment) return bad_tensor(g, t, ERR_BAD_FORMAT, "its offset is not aligned", e);
    t->begin = (size_t)offset;
    return 0;
}

static int by_begin(const void *a, const void *b) {
    const tensor *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const tensor *)a)->name, ((const tensor *)b)->name);
}

/* Inside the file, and none over another. */
static int check_ranges(gguf *g, err *e) {
    size_t room = g->file.size - g->data, end = 0;
    qsort(g->tensors, (size_t)g->n_tensors, sizeof *g->tensors, by_begin);
    for (uint64_t i = 0; i < g->n_tensors; i++) {
        tensor *t = &g->tensors[i];
        if (t->begin > room || t->bytes > room - t->begin) {
            return err_set(e, ERR_BAD_FORMAT,
                           "%s: tensor %.120s: needs bytes %zu to %zu of the data section, which has %zu "
                           "(truncated file?)",
                           g->path, t->name, t->begin, t->begin + t->bytes, room);
        }
        if (i && t->begin < end) return bad_tensor(g, t, ERR_BAD_FORMAT, "overlaps another tensor", e);
        end = t->begin + t->bytes;
        t->data = g->file.data + g->data + t->begin;
    }
    return 0;
}

static int check_names(gguf *g, err *e) {
    qsort(g->tensors, (size_t)g->n_tensors, sizeof *g->tensors, by_name);
    for (uint64_t i = 1; i < g->n_tensors; i++) {
        if (by_name(&g->tensors[i - 1], &g->tensors[i]) == 0)
            return bad_tensor(g, &g->tensors[i], ERR_BAD_FORMAT, "named twice", e);
    }
    return 0;
}

static int take_tensors(gguf *g, err *e) {
    g->tensors = arena_new(&g->mem, (size_t)g->n_tensors + 1, sizeof *g->tensors);
    if (!g->tensors) return no_memory(g, e);
    for (uint64_t i = 0; i < g->n_tensors; i++) {
        int rc = take_tensor(g, &g->tensors[i], e);
        if (rc) return rc;
    }
    g->data = (g->at + g->alignment - 1) & ~(g->alignment - 1);
    if (g->data > g->file.size) g->data = g->file.size;
    int rc = check_ranges(g, e);
    return rc ? rc : check_names(g, e);
}

/* ---- the file ---- */

static int check_version(const gguf *g, uint64_t version, err *e) {
    if (version == 2 || version == 3) return 0;
    const char *why = version == 1 ? "obsolete: convert it again" : "expected 2 or 3";
    if (version == 0x02000000 || version == 0x03000000) why = "a big-endian file is not supported";
    return err_set(e, ERR_UNSUPPORTED, "%s: GGUF version %llu: %s", g->path, (unsigned long long)version,
                   why);
}

static int take_header(gguf *g, err *e) {
    uint64_t version = 0;
    if (left(g) < 4 || memcmp(g->file.data, "GGUF", 4) != 0)
        return err_set(e, ERR_BAD_FORMAT, "%s: not a GGUF file", g->path);
    g->at = 4;
    int rc = take_number(g, 4, &version, "the header", e);
    if (!rc) rc = check_version(g, version, e);
    if (!rc) rc = take_number(g, 8, &g->n_tensors, "the header", e);
    if (!rc) rc = take_number(g, 8, &g->n_values, "the header", e);
    if (rc) return rc;
    /* The least that a value and a tensor can take: counts beyond that are lies, met before any memory. */
    if (g->n_values <= left(g) / 13 && g->n_tensors <= left(g) / 33 && g->n_values <= MAX_COUNT &&
        g->n_tensors <= MAX_COUNT)
        return 0;
    return err_set(e, ERR_BAD_FORMAT, "%s: claims %llu values and %llu tensors, more than its %zu bytes hold",
                   g->path, (unsigned long long)g->n_values, (unsigned long long)g->n_tensors, g->file.size);
}

int gguf_open(gguf **out, const char *path, err *e) {
    *out = NULL;
    gguf *g = mem_new(1, sizeof *g);
    if (!g || !(g->path = arena_strdup(&g->mem, path))) {
        gguf_close(g);
        return err_set(e, ERR_NO_MEMORY, "%s: out of memory", path);
    }
    int rc = mapping_open(&g->file, path, e);
    if (!rc) rc = take_header(g, e);
    if (!rc) rc = take_values(g, e);
    if (!rc) rc = take_alignment(g, e);
    if (!rc) rc = take_tensors(g, e);
    if (rc) {
        gguf_close(g);
        return rc;
    }
    *out = g;
    return 0;
}

void gguf_close(gguf *g) {
    if (!g) return;
    mapping_close(&g->file);
    arena_release(&g->mem);
    free(g);
}

const char *gguf_path(const gguf *g) {
    return g->path;
}

int gguf_n_values(const gguf *g) {
    return (int)g->n_values;
}

const gguf_value *gguf_value_at(const gguf *g, int i) {
    return &g->values[i];
}

const gguf_value *gguf_find(const gguf *g, const char *key) {
    gguf_value wanted = {.key = key};
    return bsearch(&wanted, g->values, (size_t)g->n_values, sizeof *g->values, by_key);
}

/* Items were walked once when the file was read, so lengths can be believed here. */
bool gguf_next_text(const gguf_value *v, gguf_cursor *c, const char **text, size_t *len) {
    if (v->kind != GGUF_LIST || v->item != GGUF_TEXT || c->index >= v->count) return false;
    const unsigned char *at = v->items + c->offset;
    *len = (size_t)number_at(at, 8);
    *text = (const char *)at + 8;
    c->offset += 8 + *len;
    c->index++;
    return true;
}

bool gguf_next_number(const gguf_value *v, gguf_cursor *c, double *out) {
    if (v->kind != GGUF_LIST || v->item == GGUF_TEXT || c->index >= v->count) return false;
    *out = scalar_value(v->items + c->offset, v->item_type);
    c->offset += scalar_bytes(v->item_type);
    c->index++;
    return true;
}

int gguf_count(const gguf *g) {
    return (int)g->n_tensors;
}

const tensor *gguf_at(const gguf *g, int i) {
    return &g->tensors[i];
}
