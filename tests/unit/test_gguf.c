/* test_gguf.c - GGUF files: what is written is read back; damaged files and broken sets are refused with the
 * right code and a message that names file and cause.
 *
 * A damage is an edit of a sound file of four values and three tensors. */
#include "checks.h"
#include "gguf_writer.h"

#include <stdlib.h>
#include <unistd.h>

#include "engine/base/rng.h"
#include "engine/formats/gguf.h"
#include "engine/formats/shards.h"

static char dir[64];

static const char *in_dir(const char *name) {
    static char path[160];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

/* ---- reading back ---- */

static gguf *open_file_at(const gguf_writer *w, int line) {
    err e = {0};
    gguf *g = NULL;
    gw_save(w, in_dir("model.gguf"));
    int rc = gguf_open(&g, in_dir("model.gguf"), &e);
    check_at(rc == 0 && g, __FILE__, line, rc ? e.msg : "opens");
    assert_non_null(g);
    return g;
}
#define OPEN(w) open_file_at(w, __LINE__)

static bool is_number(const gguf *g, const char *key, gguf_kind kind, double want) {
    const gguf_value *v = gguf_find(g, key);
    return v && v->kind == kind && near(v->number, want, 0) && strcmp(v->key, key) == 0;
}

static bool is_text(const gguf *g, const char *key, const char *want, size_t n) {
    const gguf_value *v = gguf_find(g, key);
    return v && v->kind == GGUF_TEXT && v->count == n && memcmp(v->text, want, n) == 0;
}

/* Both ends of every type. 2^53 is the largest whole number that a double holds exactly with all below. */
static const struct {
    const char *low_key, *high_key;
    int type;
    int64_t low, high;
} wholes[] = {
    {"u8.low", "u8.high", GW_U8, 0, 255},
    {"i8.low", "i8.high", GW_I8, -128, 127},
    {"u16.low", "u16.high", GW_U16, 0, 65535},
    {"i16.low", "i16.high", GW_I16, -32768, 32767},
    {"u32.low", "u32.high", GW_U32, 0, 4294967295},
    {"i32.low", "i32.high", GW_I32, INT32_MIN, INT32_MAX},
    {"u64.low", "u64.high", GW_U64, 0, INT64_C(1) << 53},
    {"i64.low", "i64.high", GW_I64, -(INT64_C(1) << 53), INT64_C(1) << 53},
};
enum { N_WHOLES = sizeof wholes / sizeof *wholes };

static void test_values(void **state) {
    (void)state;
    for (uint32_t version = 2; version <= 3; version++) {
        gguf_writer w;
        gw_init(&w);
        w.version = version;
        for (int i = 0; i < N_WHOLES; i++) {
            gw_whole(&w, wholes[i].low_key, wholes[i].type, wholes[i].low);
            gw_whole(&w, wholes[i].high_key, wholes[i].type, wholes[i].high);
        }
        gw_real(&w, "f32", GW_REAL32, -1.5e-30);
        gw_real(&w, "f64", GW_REAL64, 0.1);
        gw_whole(&w, "yes", GW_BOOL, 1);
        gw_whole(&w, "no", GW_BOOL, 0);
        gw_text(&w, "text", "Grüße\n");
        gw_text(&w, "empty", "");
        gw_key(&w, "holds a NUL", GW_TEXT);
        gw_string(&w.values, "a\0b", 3);
        gguf *g = OPEN(&w);
        for (int i = 0; i < N_WHOLES; i++) {
            CHECK(is_number(g, wholes[i].low_key, GGUF_WHOLE, (double)wholes[i].low));
            CHECK(is_number(g, wholes[i].high_key, GGUF_WHOLE, (double)wholes[i].high));
        }
        CHECK(is_number(g, "f32", GGUF_REAL, (double)-1.5e-30f));
        CHECK(is_number(g, "f64", GGUF_REAL, 0.1));
        CHECK(is_number(g, "yes", GGUF_BOOL, 1) && is_number(g, "no", GGUF_BOOL, 0));
        CHECK(is_text(g, "text", "Grüße\n", strlen("Grüße\n")) && is_text(g, "empty", "", 0));
        CHECK(is_text(g, "holds a NUL", "a\0b", 3));
        CHECK(gguf_find(g, "tex") == NULL && gguf_find(g, "text ") == NULL && gguf_find(g, "") == NULL);
        CHECK(gguf_n_values(g) == 2 * N_WHOLES + 7 && gguf_count(g) == 0);
        for (int i = 1; i < gguf_n_values(g); i++)
            CHECK(strcmp(gguf_value_at(g, i - 1)->key, gguf_value_at(g, i)->key) < 0);
        CHECK(strcmp(gguf_path(g), in_dir("model.gguf")) == 0);
        gguf_close(g);
        gw_release(&w);
    }
}

static void check_numbers(const gguf *g, const char *key, gguf_kind item, const double *want, int n) {
    const gguf_value *v = gguf_find(g, key);
    gguf_cursor c = {0};
    double got = 0;
    const char *text;
    size_t len;
    CHECK(v && v->kind == GGUF_LIST && v->item == item && v->count == (uint64_t)n);
    for (int i = 0; i < n; i++) CHECK(gguf_next_number(v, &c, &got) && near(got, want[i], 0));
    CHECK(!gguf_next_number(v, &c, &got) && !gguf_next_number(v, &c, &got));
    CHECK(!gguf_next_text(v, &(gguf_cursor){0}, &text, &len));
}

static void check_texts(const gguf *g, const char *key, const char *const *want, int n) {
    const gguf_value *v = gguf_find(g, key);
    gguf_cursor c = {0};
    double number;
    const char *text = "";
    size_t len = 0;
    CHECK(v && v->kind == GGUF_LIST && v->item == GGUF_TEXT && v->count == (uint64_t)n);
    for (int i = 0; i < n; i++) {
        CHECK(gguf_next_text(v, &c, &text, &len));
        CHECK(len == strlen(want[i]) && memcmp(text, want[i], len) == 0);
    }
    CHECK(!gguf_next_text(v, &c, &text, &len));
    CHECK(!gguf_next_number(v, &(gguf_cursor){0}, &number));
}

static void test_lists(void **state) {
    (void)state;
    static const char *const texts[] = {"one", "", "drei\n", "Ġfour"};
    gguf_writer w;
    gw_init(&w);
    for (int i = 0; i < N_WHOLES; i++) {
        gw_list(&w, wholes[i].low_key, wholes[i].type, 3);
        gw_item(&w, wholes[i].type, wholes[i].low);
        gw_item(&w, wholes[i].type, 7);
        gw_item(&w, wholes[i].type, wholes[i].high);
    }
    gw_list(&w, "f32", GW_REAL32, 2);
    for (int i = 0; i < 2; i++) gw_item_real(&w, GW_REAL32, 0.5 - i);
    gw_list(&w, "f64", GW_REAL64, 2);
    for (int i = 0; i < 2; i++) gw_item_real(&w, GW_REAL64, 0.1 - i);
    gw_list(&w, "flags", GW_BOOL, 2);
    for (int i = 0; i < 2; i++) gw_item(&w, GW_BOOL, i);
    gw_list(&w, "texts", GW_TEXT, 4);
    for (int i = 0; i < 4; i++) gw_item_text(&w, texts[i]);
    gw_list(&w, "no texts", GW_TEXT, 0);
    gw_list(&w, "no numbers", GW_U16, 0);
    gw_whole(&w, "after", GW_U8, 9);
    gguf *g = OPEN(&w);
    for (int i = 0; i < N_WHOLES; i++) {
        const double want[] = {(double)wholes[i].low, 7, (double)wholes[i].high};
        check_numbers(g, wholes[i].low_key, GGUF_WHOLE, want, 3);
    }
    check_numbers(g, "f32", GGUF_REAL, (const double[]){0.5, -0.5}, 2);
    check_numbers(g, "f64", GGUF_REAL, (const double[]){0.1, 0.1 - 1}, 2);
    check_numbers(g, "flags", GGUF_BOOL, (const double[]){0, 1}, 2);
    check_texts(g, "texts", texts, 4);
    check_texts(g, "no texts", NULL, 0);
    check_numbers(g, "no numbers", GGUF_WHOLE, NULL, 0);
    CHECK(is_number(g, "after", GGUF_WHOLE, 9));
    gguf_cursor c = {0};
    double number;
    CHECK(!gguf_next_number(gguf_find(g, "after"), &c, &number)); /* not a list */
    gguf_close(g);
    gw_release(&w);
}

/* ---- tensors ---- */

static const struct {
    int number;
    const char *name;
    int elements, bytes;
} types[] = {{GW_F32, "F32", 1, 4},       {GW_F16, "F16", 1, 2},       {GW_BF16, "BF16", 1, 2},
             {GW_Q4_0, "Q4_0", 32, 18},   {GW_Q4_1, "Q4_1", 32, 20},   {GW_Q5_0, "Q5_0", 32, 22},
             {GW_Q5_1, "Q5_1", 32, 24},   {GW_Q8_0, "Q8_0", 32, 34},   {GW_Q2_K, "Q2_K", 256, 84},
             {GW_Q3_K, "Q3_K", 256, 110}, {GW_Q4_K, "Q4_K", 256, 144}, {GW_Q5_K, "Q5_K", 256, 176},
             {GW_Q6_K, "Q6_K", 256, 210}};
enum { N_TYPES = sizeof types / sizeof *types };

static bool has_shape(const tensor *t, int n, const int64_t *want) {
    return t->n_dims == n && memcmp(t->shape, want, (size_t)n * sizeof *want) == 0;
}

/* Every type, with its size, its bytes and its shape turned round; the order in the file does not count. */
static void test_tensors(void **state) {
    (void)state;
    const size_t alignments[] = {0, 8, 32, 64, 4096};
    for (size_t a = 0; a < sizeof alignments / sizeof *alignments; a++) {
        gguf_writer w;
        gw_init(&w);
        if (alignments[a]) gw_align(&w, alignments[a]);
        unsigned char bytes[6 * 210 + N_TYPES];
        for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (unsigned char)(7 * i + a);
        for (int i = N_TYPES; i-- > 0;) {
            const int64_t shape[] = {3, 2 * types[i].elements};
            gw_tensor(&w, types[i].name, types[i].number, 2, shape, bytes + i,
                      6 * (size_t)types[i].bytes - 4);
            strbuf_add(&w.data, bytes, 4);
        }
        const int64_t deep[] = {2, 3, 1, 4}, flat[] = {5};
        gw_tensor(&w, "deep", GW_F32, 4, deep, bytes, 96);
        gw_tensor(&w, "flat", GW_F16, 1, flat, bytes, 10);
        gguf *g = OPEN(&w);
        CHECK(gguf_count(g) == N_TYPES + 2);
        for (int i = 0; i < gguf_count(g); i++) {
            const tensor *t = gguf_at(g, i);
            CHECK(i == 0 || strcmp(gguf_at(g, i - 1)->name, t->name) < 0);
            for (int k = 0; k < N_TYPES; k++) {
                const int64_t shape[] = {3, 2 * types[k].elements};
                size_t n = 6 * (size_t)types[k].bytes;
                if (strcmp(types[k].name, t->name) != 0) continue;
                CHECK(strcmp(t->dtype, types[k].name) == 0 && t->bytes == n && has_shape(t, 2, shape));
                CHECK(memcmp(t->data, bytes + k, n - 4) == 0 && memcmp(t->data + n - 4, bytes, 4) == 0);
            }
            if (strcmp(t->name, "deep") == 0) CHECK(has_shape(t, 4, deep) && memcmp(t->data, bytes, 96) == 0);
            if (strcmp(t->name, "flat") == 0) CHECK(has_shape(t, 1, flat) && memcmp(t->data, bytes, 10) == 0);
        }
        gguf_close(g);
        gw_release(&w);
    }
}

/* ---- damage ---- */

static void refused_file(const char *path, int code, const char *msg, int line) {
    err e = {0};
    gguf *g = (gguf *)&e;
    int rc = gguf_open(&g, path, &e);
    n_checks++;
    bool named = strncmp(e.msg, path, strlen(path)) == 0 && e.msg[strlen(path)] == ':';
    if (rc == code && e.code == code && !g && named && strstr(e.msg, msg)) return;
    n_failed++;
    print_error("test_gguf.c:%d: code %d \"%s\", expected %d \"%s\"\n", line, rc, e.msg, code, msg);
    if (!rc) gguf_close(g);
}

static void refused_bytes(const void *bytes, size_t n, int code, const char *msg, int line) {
    gw_save_bytes(in_dir("model.gguf"), bytes, n);
    refused_file(in_dir("model.gguf"), code, msg, line);
}

static void refused(const gguf_writer *w, int code, const char *msg, int line) {
    gw_save(w, in_dir("model.gguf"));
    refused_file(in_dir("model.gguf"), code, msg, line);
}
#define REFUSED(w, code, msg) refused(w, code, msg, __LINE__)

/* The sound file. Data: "first" at 0, "second" at 64, "third" at 256 to 266. */
static void small_file(strbuf *image) {
    gguf_writer w;
    unsigned char bytes[136];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (unsigned char)i;
    gw_init(&w);
    gw_align(&w, 64);
    gw_text(&w, "a.text", "hello");
    gw_list(&w, "a.list.of.texts", GW_TEXT, 3);
    gw_item_text(&w, "one");
    gw_item_text(&w, "");
    gw_item_text(&w, "three");
    gw_list(&w, "some.numbers", GW_I16, 3);
    for (int i = 0; i < 3; i++) gw_item(&w, GW_I16, i);
    gw_tensor(&w, "first", GW_F32, 2, (const int64_t[]){2, 3}, bytes, 24);
    gw_tensor(&w, "second", GW_Q8_0, 2, (const int64_t[]){2, 64}, bytes, 136);
    gw_tensor(&w, "third", GW_F16, 1, (const int64_t[]){5}, bytes, 10);
    gw_image(&w, image);
    gw_release(&w);
}

/* Where `name` ends in the file; its length is the eight bytes before it. "": the start of the file. */
static size_t after(const strbuf *image, const char *name) {
    size_t n = strlen(name);
    for (size_t i = 0; n && i + n <= image->len; i++) {
        if (memcmp(image->data + i, name, n) == 0) return i + n;
    }
    assert_int_equal(n, 0);
    return 0;
}

/* `bytes` at `offset` from the end of `name` become `value`. After a key come its type (4) and its value;
 * after a list's type the items' type (4) and their number (8). After a tensor's name come the number of
 * dimensions (4), the dimensions (8 each), the type (4) and the offset (8). */
typedef struct damage {
    const char *name;
    int offset;
    size_t bytes;
    uint64_t value;
    int code;
    const char *msg;
} damage;

#define LENGTH_OF(name) (-(int)sizeof(name) + 1 - 8)

static const damage damages[] = {
    /* the header */
    {"", 0, 4, 0x46554748, ERR_BAD_FORMAT, "not a GGUF file"},
    {"", 4, 4, 0, ERR_UNSUPPORTED, "GGUF version 0: expected 2 or 3"},
    {"", 4, 4, 1, ERR_UNSUPPORTED, "GGUF version 1: obsolete"},
    {"", 4, 4, 4, ERR_UNSUPPORTED, "GGUF version 4: expected 2 or 3"},
    {"", 4, 4, 0x03000000, ERR_UNSUPPORTED, "a big-endian file is not supported"},
    {"", 4, 4, 0x02000000, ERR_UNSUPPORTED, "a big-endian file is not supported"},
    {"", 8, 8, UINT64_MAX, ERR_BAD_FORMAT, "claims 4 values and 18446744073709551615 tensors, more than its"},
    {"", 8, 8, 1000, ERR_BAD_FORMAT, "claims 4 values and 1000 tensors, more than its"},
    {"", 16, 8, UINT64_MAX, ERR_BAD_FORMAT, "claims 18446744073709551615 values and 3 tensors"},
    {"", 16, 8, UINT64_C(1) << 32, ERR_BAD_FORMAT, "claims 4294967296 values"},
    {"", 16, 8, 1000, ERR_BAD_FORMAT, "claims 1000 values"},
    {"", 8, 8, 4, ERR_BAD_FORMAT, "a tensor's name"},
    {"", 16, 8, 5, ERR_BAD_FORMAT, "ends inside a tensor's name"},
    {"", 16, 8, 3, ERR_BAD_FORMAT, "tensor some.numbers: expected 1 to 4 dimensions"},
    /* values */
    {"a.text", LENGTH_OF("a.text"), 8, UINT64_MAX, ERR_BAD_FORMAT, "ends inside a key"},
    {"a.text", LENGTH_OF("a.text"), 8, 100000, ERR_BAD_FORMAT, "ends inside a key"},
    {"a.text", LENGTH_OF("a.text"), 8, 0, ERR_BAD_FORMAT, "a key is empty or holds a NUL"},
    {"a.text", -3, 1, 0, ERR_BAD_FORMAT, "a key is empty or holds a NUL"},
    {"a.text", 0, 4, 13, ERR_BAD_FORMAT, "a.text: unknown type 13"},
    {"a.text", 0, 4, UINT32_MAX, ERR_BAD_FORMAT, "a.text: unknown type 4294967295"},
    {"a.text", 4, 8, UINT64_MAX, ERR_BAD_FORMAT, "ends inside a.text"},
    {"a.text", 4, 8, UINT64_C(1) << 33, ERR_BAD_FORMAT, "ends inside a.text"},
    {"a.list.of.texts", 4, 4, GW_LIST, ERR_UNSUPPORTED, "a.list.of.texts: a list of type 9 is not supported"},
    {"a.list.of.texts", 4, 4, 77, ERR_UNSUPPORTED, "a.list.of.texts: a list of type 77 is not supported"},
    {"a.list.of.texts", 8, 8, UINT64_MAX, ERR_BAD_FORMAT, "ends inside a.list.of.texts"},
    {"a.list.of.texts", 8, 8, UINT64_C(1) << 61, ERR_BAD_FORMAT, "ends inside a.list.of.texts"},
    {"a.list.of.texts", 8, 8, 60, ERR_BAD_FORMAT, "ends inside a.list.of.texts"},
    {"a.list.of.texts", 16, 8, UINT64_MAX, ERR_BAD_FORMAT, "ends inside a.list.of.texts"},
    {"some.numbers", 8, 8, UINT64_MAX, ERR_BAD_FORMAT, "ends inside some.numbers"},
    {"some.numbers", 8, 8, UINT64_C(1) << 63, ERR_BAD_FORMAT, "ends inside some.numbers"},
    {"some.numbers", 8, 8, 100000, ERR_BAD_FORMAT, "ends inside some.numbers"},
    /* alignment */
    {"general.alignment", 4, 4, 0, ERR_BAD_FORMAT, "general.alignment: expected a power of two up to 2^20"},
    {"general.alignment", 4, 4, 48, ERR_BAD_FORMAT, "general.alignment: expected a power of two"},
    {"general.alignment", 4, 4, 1 << 21, ERR_BAD_FORMAT, "general.alignment: expected a power of two"},
    {"general.alignment", 0, 4, GW_REAL32, ERR_BAD_FORMAT, "general.alignment: expected a power of two"},
    {"general.alignment", 4, 4, 256, ERR_BAD_FORMAT, "tensor second: its offset is not aligned"},
    /* tensors */
    {"first", LENGTH_OF("first"), 8, 0, ERR_BAD_FORMAT, "a tensor's name is empty or holds a NUL"},
    {"first", LENGTH_OF("first"), 8, UINT64_MAX - 3, ERR_BAD_FORMAT, "ends inside a tensor's name"},
    {"first", LENGTH_OF("first"), 8, 300, ERR_BAD_FORMAT, "a tensor's name of 300 bytes, expected at most"},
    {"first", -1, 1, 0, ERR_BAD_FORMAT, "a tensor's name is empty or holds a NUL"},
    {"first", 0, 4, 0, ERR_BAD_FORMAT, "tensor first: expected 1 to 4 dimensions"},
    {"first", 0, 4, 5, ERR_BAD_FORMAT, "tensor first: expected 1 to 4 dimensions"},
    {"first", 0, 4, UINT32_MAX, ERR_BAD_FORMAT, "tensor first: expected 1 to 4 dimensions"},
    {"first", 4, 8, 0, ERR_BAD_FORMAT, "tensor first: a dimension is not between 1 and 2^31"},
    {"first", 12, 8, 0, ERR_BAD_FORMAT, "tensor first: a dimension is not between 1 and 2^31"},
    {"first", 4, 8, UINT64_C(1) << 31, ERR_BAD_FORMAT, "tensor first: a dimension is not"},
    {"first", 12, 8, UINT64_MAX, ERR_BAD_FORMAT, "tensor first: a dimension is not"},
    {"first", 4, 8, INT32_MAX, ERR_BAD_FORMAT,
     "tensor first: needs bytes 0 to 17179869176 of the data section"},
    {"first", 20, 4, 4, ERR_UNSUPPORTED, "tensor first: GGML type 4 is not supported"},
    {"first", 20, 4, 16, ERR_UNSUPPORTED, "tensor first: GGML type 16 is not supported"},
    {"first", 20, 4, 39, ERR_UNSUPPORTED, "tensor first: GGML type 39 is not supported"},
    {"first", 20, 4, UINT32_MAX, ERR_UNSUPPORTED, "tensor first: GGML type 4294967295 is not supported"},
    {"first", 20, 4, GW_Q4_0, ERR_BAD_FORMAT, "tensor first: rows of 3, expected a multiple of 32 for Q4_0"},
    {"second", 20, 4, GW_Q6_K, ERR_BAD_FORMAT,
     "tensor second: rows of 64, expected a multiple of 256 for Q6_K"},
    {"second", 4, 8, 33, ERR_BAD_FORMAT, "tensor second: rows of 33, expected a multiple of 32 for Q8_0"},
    {"second", 24, 8, 65, ERR_BAD_FORMAT, "tensor second: its offset is not aligned"},
    {"second", 24, 8, 0, ERR_BAD_FORMAT, "overlaps another tensor"},
    {"third", 16, 8, 64, ERR_BAD_FORMAT, "overlaps another tensor"},
    {"third", 16, 8, 128, ERR_BAD_FORMAT, "tensor third: overlaps another tensor"},
    {"third", 16, 8, UINT64_MAX - 63, ERR_BAD_FORMAT, "tensor third: needs bytes 18446744073709551552 to"},
    {"third", 16, 8, UINT64_C(1) << 40, ERR_BAD_FORMAT, "tensor third: needs bytes 1099511627776 to"},
    {"third", 4, 8, 6, ERR_BAD_FORMAT,
     "tensor third: needs bytes 256 to 268 of the data section, which has 266"},
};

static void test_damage(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        const damage *d = &damages[i];
        strbuf image;
        small_file(&image);
        unsigned char *at = (unsigned char *)image.data + after(&image, d->name) + d->offset;
        for (size_t k = 0; k < d->bytes; k++) at[k] = (unsigned char)(d->value >> 8 * k);
        char what[200];
        snprintf(what, sizeof what, "case %zu: %s", i, d->msg);
        int failed = n_failed;
        refused_bytes(image.data, image.len, d->code, d->msg, __LINE__);
        if (n_failed > failed) print_error("    %s\n", what);
        strbuf_release(&image);
    }
}

/* Dimensions whose product leaves 64 bits, in front of and behind the row. */
static void test_overflow(void **state) {
    (void)state;
    static const int64_t most = INT32_MAX;
    const int64_t shapes[][4] = {{most, most, most, most}, {most, most, most, 1}, {most, most, 4, most}};
    const int numbers[] = {GW_F32, GW_F16, GW_F32};
    for (size_t i = 0; i < 3; i++) {
        gguf_writer w;
        gw_init(&w);
        gw_info(&w, "vast", numbers[i], 4, shapes[i], 0);
        strbuf_puts(&w.data, "some data");
        REFUSED(&w, ERR_BAD_FORMAT, "tensor vast: its shape overflows");
        gw_release(&w);
    }
}

/* Every length: the tensors' data is needed to its last byte. */
static void test_truncation(void **state) {
    (void)state;
    strbuf image;
    err e = {0};
    gguf *g = NULL;
    small_file(&image);
    gw_save_bytes(in_dir("model.gguf"), image.data, image.len);
    CHECK(gguf_open(&g, in_dir("model.gguf"), &e) == 0 && gguf_count(g) == 3 && gguf_n_values(g) == 4);
    gguf_close(g);
    for (size_t n = image.len; n-- > 0;) {
        const char *msg = n < 4 ? "not a GGUF file" : n < 24 ? "ends inside the header" : "";
        if (n >= image.len - 266) msg = "(truncated file?)";
        gw_save_bytes(in_dir("model.gguf"), image.data, n);
        refused_file(in_dir("model.gguf"), ERR_BAD_FORMAT, msg, __LINE__);
    }
    strbuf_release(&image);
}

static void test_twice(void **state) {
    (void)state;
    const int64_t shape[] = {2};
    const float two[] = {1, 2};
    gguf_writer w;
    gw_init(&w);
    gw_whole(&w, "key", GW_U32, 1);
    gw_text(&w, "between", "");
    gw_text(&w, "key", "text");
    REFUSED(&w, ERR_BAD_FORMAT, "the key key appears twice");
    gw_release(&w);
    gw_init(&w);
    gw_tensor(&w, "same", GW_F32, 1, shape, two, sizeof two);
    gw_tensor(&w, "between", GW_F32, 1, shape, two, sizeof two);
    gw_tensor(&w, "same", GW_F32, 1, shape, two, sizeof two);
    REFUSED(&w, ERR_BAD_FORMAT, "tensor same: named twice");
    gw_release(&w);
}

/* Keys may be long, but not without end. */
static void test_long_names(void **state) {
    (void)state;
    static char key[65537];
    memset(key, 'k', 65536);
    gguf_writer w;
    gw_init(&w);
    gw_whole(&w, key, GW_U8, 1);
    REFUSED(&w, ERR_BAD_FORMAT, "a key of 65536 bytes, expected at most 65535");
    gw_release(&w);
    key[65535] = 0;
    gw_init(&w);
    gw_whole(&w, key, GW_U8, 1);
    gguf *g = OPEN(&w);
    CHECK(is_number(g, key, GGUF_WHOLE, 1));
    gguf_close(g);
    gw_text(&w, key, "again"); /* the message is cut */
    REFUSED(&w, ERR_BAD_FORMAT, "the key kkkk");
    gw_release(&w);
}

/* Whatever bytes change, the answer is a file or a message; the sanitizers watch what is read of it. */
static volatile unsigned touched;

static void test_random_damage(void **state) {
    (void)state;
    strbuf image;
    small_file(&image);
    size_t head = image.len - 266;
    for (uint64_t round = 0; round < 3000; round++) {
        char keep[4];
        size_t at[4], n = 1 + round % 4;
        for (size_t i = 0; i < n; i++) {
            at[i] = 4 + rng_bits(11, round, i, 0, RNG_POSITION) % (head - 4);
            keep[i] = image.data[at[i]];
            uint64_t bits = rng_bits(11, round, i, 0, RNG_TOKEN);
            image.data[at[i]] =
                (char)(unsigned char)(round % 2 ? bits : (uint64_t)keep[i] ^ UINT64_C(1) << bits % 8);
        }
        err e = {0};
        gguf *g = NULL;
        gw_save_bytes(in_dir("model.gguf"), image.data, image.len);
        int rc = gguf_open(&g, in_dir("model.gguf"), &e);
        CHECK(rc == 0 ? g != NULL : !g && e.code == rc && strncmp(e.msg, dir, strlen(dir)) == 0);
        for (int i = 0; i < (g ? gguf_count(g) : 0); i++) {
            const tensor *t = gguf_at(g, i);
            for (size_t b = 0; b < t->bytes; b++) touched += t->data[b];
        }
        for (int i = 0; i < (g ? gguf_n_values(g) : 0); i++) {
            const char *text;
            size_t len;
            double number;
            gguf_cursor c = {0};
            while (gguf_next_text(gguf_value_at(g, i), &c, &text, &len))
                touched += len ? (unsigned char)text[0] : 0;
            while (gguf_next_number(gguf_value_at(g, i), &c, &number)) touched += number > 0;
        }
        gguf_close(g);
        for (size_t i = n; i-- > 0;) image.data[at[i]] = keep[i];
    }
    strbuf_release(&image);
}

static void test_no_file(void **state) {
    (void)state;
    refused_file(in_dir("nowhere.gguf"), ERR_NOT_FOUND, "No such file", __LINE__);
    refused_file(dir, ERR_IO, "not a regular file", __LINE__);
    refused_bytes("", 0, ERR_BAD_FORMAT, "not a GGUF file", __LINE__);
}

/* ---- sets ---- */

typedef struct part {
    const char *name; /* of the file */
    int no, count;    /* as the file says; -1: it does not */
    const char *tensors[2];
} part;

static const part sound[] = {{"set-00001-of-00003.gguf", 0, 3, {"b", NULL}},
                             {"set-00002-of-00003.gguf", 1, 3, {"d", "a"}},
                             {"set-00003-of-00003.gguf", 2, 3, {"c", NULL}}};

static void write_part(const part *p) {
    const int64_t shape[] = {2};
    gguf_writer w;
    gw_init(&w);
    if (p->no == 0) gw_text(&w, "general.architecture", "llada");
    if (p->no >= 0) gw_whole(&w, "split.no", GW_U16, p->no);
    if (p->count >= 0) gw_whole(&w, "split.count", GW_U16, p->count);
    for (int i = 0; i < 2 && p->tensors[i]; i++) {
        float values[] = {(float)p->tensors[i][0], (float)p->no};
        gw_tensor(&w, p->tensors[i], GW_F32, 1, shape, values, sizeof values);
    }
    gw_save(&w, in_dir(p->name));
    gw_release(&w);
}

static void write_set(const part *parts, int n) {
    for (int i = 0; i < n; i++) write_part(&parts[i]);
}

static void remove_set(void) {
    for (int i = 0; i < 3; i++) unlink(in_dir(sound[i].name));
}

static void check_tensor(const shards *s, int i, const char *name, const char *file) {
    float value = 0;
    memcpy(&value, shards_at(s, i)->data, sizeof value);
    CHECK(strcmp(shards_at(s, i)->name, name) == 0 && near((double)value, name[0], 0));
    CHECK(strcmp(shards_file(s, i), in_dir(file)) == 0 && shards_find(s, name) == i);
}

static void test_set(void **state) {
    (void)state;
    write_set(sound, 3);
    for (int i = 0; i < 3; i++) {
        shards *s = NULL;
        err e = {0};
        MUST(shards_open_gguf(&s, in_dir(sound[i].name), &e), &e);
        CHECK(shards_count(s) == 4 && shards_find(s, "e") < 0);
        check_tensor(s, 0, "a", sound[1].name);
        check_tensor(s, 1, "b", sound[0].name);
        check_tensor(s, 2, "c", sound[2].name);
        check_tensor(s, 3, "d", sound[1].name);
        CHECK(strcmp(shards_path(s), in_dir(sound[i].name)) == 0);
        CHECK(strcmp(gguf_path(shards_gguf(s)), in_dir(sound[0].name)) == 0);
        CHECK(gguf_find(shards_gguf(s), "general.architecture") != NULL);
        shards_close(s);
    }
    remove_set();
}

static void set_refused(const char *open, int code, const char *file, const char *msg, int line) {
    char path[160];
    err e = {0};
    shards *s = (shards *)&e;
    snprintf(path, sizeof path, "%s", in_dir(open));
    int rc = shards_open_gguf(&s, path, &e);
    bool named = strncmp(e.msg, in_dir(file), strlen(in_dir(file))) == 0;
    n_checks++;
    if (rc == code && e.code == code && !s && named && strstr(e.msg, msg)) return;
    n_failed++;
    print_error("test_gguf.c:%d: code %d \"%s\", expected %d %s \"%s\"\n", line, rc, e.msg, code, file, msg);
    if (!rc) shards_close(s);
}
#define SET_REFUSED(open, code, file, msg) set_refused(open, code, file, msg, __LINE__)

static void test_broken_sets(void **state) {
    (void)state;
    const char *const names[] = {sound[0].name, sound[1].name, sound[2].name};
    for (int gone = 0; gone < 3; gone++) {
        write_set(sound, 3);
        unlink(in_dir(names[gone]));
        for (int open = 0; open < 3; open++)
            SET_REFUSED(names[open], ERR_NOT_FOUND, names[gone], "No such file");
    }
    const struct {
        part replaced; /* by name */
        const char *msg;
    } cases[] = {
        {{names[1], 0, 3, {"a", "d"}}, "split.no and split.count do not say part 2 of 3"},
        {{names[1], 2, 3, {"a", "d"}}, "split.no and split.count do not say part 2 of 3"},
        {{names[1], -1, 3, {"a", "d"}}, "split.no and split.count do not say part 2 of 3"},
        {{names[2], 2, 4, {"c", NULL}}, "split.no and split.count do not say part 3 of 3"},
        {{names[2], 2, -1, {"c", NULL}}, "split.no and split.count do not say part 3 of 3"},
        {{names[2], 2, 3, {"c", "b"}}, "tensor b: also in"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_set(sound, 3);
        write_part(&cases[i].replaced);
        SET_REFUSED(names[0], ERR_BAD_FORMAT, i == 5 ? "" : cases[i].replaced.name, cases[i].msg);
    }
    const char *const others[] = {
        "model.gguf",          "set-00001-of-00004.gguf", "set-0001-of-0003.gguf", "set-00001-of-00003.GGUF",
        "00001-of-00003.gguf", "-of-00003.gguf"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        part renamed = sound[0];
        renamed.name = others[i];
        write_part(&renamed);
        SET_REFUSED(others[i], ERR_BAD_FORMAT, others[i],
                    "one of 3 parts, but not named ...-00001-of-00003.gguf");
        unlink(in_dir(others[i]));
    }
    remove_set();
}

/* A file that is a set of its own is an ordinary one. */
static void test_set_of_one(void **state) {
    (void)state;
    const part alone[] = {{"one.gguf", 0, 1, {"a", NULL}}, {"one.gguf", -1, -1, {"a", NULL}}};
    for (int i = 0; i < 2; i++) {
        shards *s = NULL;
        err e = {0};
        write_part(&alone[i]);
        MUST(shards_open_gguf(&s, in_dir("one.gguf"), &e), &e);
        CHECK(shards_count(s) == 1);
        shards_close(s);
    }
    unlink(in_dir("one.gguf"));
}

static int set_up(void **state) {
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/tabes-gguf-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    unlink(in_dir("model.gguf"));
    return rmdir(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_tensors),       cmocka_unit_test(test_damage),
        cmocka_unit_test(test_overflow),      cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_twice),         cmocka_unit_test(test_long_names),
        cmocka_unit_test(test_random_damage), cmocka_unit_test(test_no_file),
        cmocka_unit_test(test_set),           cmocka_unit_test(test_broken_sets),
        cmocka_unit_test(test_set_of_one),
    };
    return finish("gguf", cmocka_run_group_tests(tests, set_up, tear_down));
}
