/* gguf_writer.h - GGUF files for tests: values and tensors are appended, then the file is put together.
 *
 *     gguf_writer w;
 *     gw_init(&w);
 *     gw_text(&w, "general.architecture", "llada");
 *     gw_tensor(&w, "output_norm.weight", GW_F32, 1, (int64_t[]){64}, floats, 256);
 *     gw_save(&w, path);
 *     gw_release(&w);
 *
 * Shapes are given [out][in], as the engine has them; the file lists them the other way round.
 */
#ifndef TABES_TEST_GGUF_WRITER_H
#define TABES_TEST_GGUF_WRITER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/strbuf.h"

enum {
    GW_U8,
    GW_I8,
    GW_U16,
    GW_I16,
    GW_U32,
    GW_I32,
    GW_REAL32,
    GW_BOOL,
    GW_TEXT,
    GW_LIST,
    GW_U64,
    GW_I64,
    GW_REAL64
};
enum {
    GW_F32 = 0,
    GW_F16 = 1,
    GW_Q4_0 = 2,
    GW_Q4_1 = 3,
    GW_Q5_0 = 6,
    GW_Q5_1 = 7,
    GW_Q8_0 = 8,
    GW_Q2_K = 10,
    GW_Q3_K = 11,
    GW_Q4_K = 12,
    GW_Q5_K = 13,
    GW_Q6_K = 14,
    GW_BF16 = 30
};

typedef struct gguf_writer {
    strbuf values, infos, data;
    uint64_t n_values, n_tensors;
    uint32_t version;
    size_t alignment; /* of the data; gw_align also says so in the file */
} gguf_writer;

static inline void gw_init(gguf_writer *w) {
    *w = (gguf_writer){.version = 3, .alignment = 32};
    strbuf_init(&w->values, 1 << 28);
    strbuf_init(&w->infos, 1 << 28);
    strbuf_init(&w->data, 1 << 28);
}

static inline void gw_release(gguf_writer *w) {
    strbuf_release(&w->values);
    strbuf_release(&w->infos);
    strbuf_release(&w->data);
}

static inline void gw_bytes(strbuf *b, uint64_t v, size_t n) {
    for (size_t i = 0; i < n; i++) strbuf_putc(b, (char)(unsigned char)(v >> 8 * i));
}

static inline void gw_string(strbuf *b, const char *s, size_t n) {
    gw_bytes(b, n, 8);
    strbuf_add(b, s, n);
}

/* ---- values ---- */

static inline size_t gw_width(int type) {
    static const size_t bytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return bytes[type];
}

static inline void gw_key(gguf_writer *w, const char *key, int type) {
    gw_string(&w->values, key, strlen(key));
    gw_bytes(&w->values, (uint64_t)type, 4);
    w->n_values++;
}

static inline uint64_t gw_float_bits(int type, double v) {
    float f = (float)v;
    uint32_t low;
    uint64_t bits;
    memcpy(&low, &f, sizeof low);
    memcpy(&bits, &v, sizeof bits);
    return type == GW_REAL32 ? low : bits;
}

static inline void gw_whole(gguf_writer *w, const char *key, int type, int64_t v) {
    gw_key(w, key, type);
    gw_bytes(&w->values, (uint64_t)v, gw_width(type));
}

static inline void gw_real(gguf_writer *w, const char *key, int type, double v) {
    gw_key(w, key, type);
    gw_bytes(&w->values, gw_float_bits(type, v), gw_width(type));
}

static inline void gw_text(gguf_writer *w, const char *key, const char *text) {
    gw_key(w, key, GW_TEXT);
    gw_string(&w->values, text, strlen(text));
}

/* The head of a list; its items follow with gw_item, gw_item_real or gw_item_text. */
static inline void gw_list(gguf_writer *w, const char *key, int item, uint64_t n) {
    gw_key(w, key, GW_LIST);
    gw_bytes(&w->values, (uint64_t)item, 4);
    gw_bytes(&w->values, n, 8);
}

static inline void gw_item(gguf_writer *w, int type, int64_t v) {
    gw_bytes(&w->values, (uint64_t)v, gw_width(type));
}

static inline void gw_item_real(gguf_writer *w, int type, double v) {
    gw_bytes(&w->values, gw_float_bits(type, v), gw_width(type));
}

static inline void gw_item_text(gguf_writer *w, const char *text) {
    gw_string(&w->values, text, strlen(text));
}

static inline void gw_align(gguf_writer *w, size_t alignment) {
    gw_whole(w, "general.alignment", GW_U32, (int64_t)alignment);
    w->alignment = alignment;
}

/* ---- tensors ---- */

static inline void gw_pad(strbuf *b, size_t alignment) {
    while (b->len % alignment) strbuf_putc(b, '\0');
}

/* Only what the file says of a tensor. */
static inline void gw_info(gguf_writer *w, const char *name, int type, int n_dims, const int64_t *shape,
                           uint64_t offset) {
    gw_string(&w->infos, name, strlen(name));
    gw_bytes(&w->infos, (uint64_t)n_dims, 4);
    for (int i = n_dims; i-- > 0;) gw_bytes(&w->infos, (uint64_t)shape[i], 8);
    gw_bytes(&w->infos, (uint64_t)type, 4);
    gw_bytes(&w->infos, offset, 8);
    w->n_tensors++;
}

static inline void gw_tensor(gguf_writer *w, const char *name, int type, int n_dims, const int64_t *shape,
                             const void *bytes, size_t n) {
    gw_pad(&w->data, w->alignment);
    gw_info(w, name, type, n_dims, shape, w->data.len);
    strbuf_add(&w->data, bytes, n);
}

/* ---- the file ---- */

/* Initialises `out`. */
static inline void gw_image(const gguf_writer *w, strbuf *out) {
    strbuf_init(out, 1 << 29);
    strbuf_puts(out, "GGUF");
    gw_bytes(out, w->version, 4);
    gw_bytes(out, w->n_tensors, 8);
    gw_bytes(out, w->n_values, 8);
    strbuf_add(out, w->values.data, w->values.len);
    strbuf_add(out, w->infos.data, w->infos.len);
    gw_pad(out, w->alignment);
    strbuf_add(out, w->data.data, w->data.len);
    assert_false(out->failed || w->values.failed || w->infos.failed || w->data.failed);
}

static inline void gw_save_bytes(const char *path, const void *bytes, size_t n) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static inline void gw_save(const gguf_writer *w, const char *path) {
    strbuf image;
    gw_image(w, &image);
    gw_save_bytes(path, image.data, image.len);
    strbuf_release(&image);
}

#endif
