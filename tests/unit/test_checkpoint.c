/* test_checkpoint.c - reading checkpoints: damaged ones are refused with the right code and a message
 * that names file and cause; sound variants (dtype, tying, scaling, mapping) compute what they say.
 *
 * Every case is an edit of a sound model of tests/vectors, written into a temporary directory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/mem.h"
#include "engine/base/rng.h"
#include "engine/base/strbuf.h"
#include "engine/denoiser.h"
#include "engine/formats/safetensors.h"

static int n_checks, n_failed;
static char dir[64];

static void check_at(bool ok, int line, const char *what) {
    n_checks++;
    if (ok) return;
    n_failed++;
    print_error("test_checkpoint.c:%d: %s\n", line, what);
}
#define CHECK(cond) check_at((cond), __LINE__, #cond)

/* ---- a model in memory ---- */

typedef struct model {
    strbuf config, header, data;
} model;

static void read_model(model *m, const char *arch) {
    char path[100];
    strbuf file;
    err e = {0};
    snprintf(path, sizeof path, "tests/vectors/%s/config.json", arch);
    if (strbuf_read_file(&m->config, path, 1 << 20, &e)) fail_msg("%s", e.msg);
    snprintf(path, sizeof path, "tests/vectors/%s/model.safetensors", arch);
    if (strbuf_read_file(&file, path, 1 << 24, &e)) fail_msg("%s", e.msg);
    size_t n = (size_t)(unsigned char)file.data[0] | (size_t)(unsigned char)file.data[1] << 8;
    strbuf_init(&m->header, 1 << 24);
    strbuf_init(&m->data, 1 << 24);
    strbuf_add(&m->header, file.data + 8, n);
    strbuf_add(&m->data, file.data + 8 + n, file.len - 8 - n);
    strbuf_release(&file);
    m->config.max = 1 << 24;
}

static void free_model(model *m) {
    strbuf_release(&m->config);
    strbuf_release(&m->header);
    strbuf_release(&m->data);
}

/* Replace the first `from` (which must be there); `all`: every one. */
static void edit(strbuf *b, const char *from, const char *to, bool all) {
    strbuf out;
    strbuf_init(&out, 1 << 24);
    const char *p = b->data, *hit = strstr(p, from);
    if (!hit) fail_msg("nothing to replace: %s", from);
    do {
        strbuf_add(&out, p, (size_t)(hit - p));
        strbuf_puts(&out, to);
        p = hit + strlen(from);
    } while (all && (hit = strstr(p, from)));
    strbuf_puts(&out, p);
    strbuf_release(b);
    *b = out;
}

static const char *in_dir(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void write_file(const char *name, const void *a, size_t n_a, const void *b, size_t n_b, const void *c,
                       size_t n_c) {
    FILE *f = fopen(in_dir(name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(a, 1, n_a, f) + fwrite(b, 1, n_b, f) + fwrite(c, 1, n_c, f), n_a + n_b + n_c);
    assert_int_equal(fclose(f), 0);
}

static void write_config(const model *m) {
    write_file("config.json", m->config.data, m->config.len, "", 0, "", 0);
}

static void write_weights(const model *m) {
    unsigned char n[8] = {0};
    for (int i = 0; i < 8; i++) n[i] = (unsigned char)((uint64_t)m->header.len >> 8 * i);
    write_file("model.safetensors", n, 8, m->header.data, m->header.len, m->data.data, m->data.len);
}

static void write_model(const model *m) {
    write_config(m);
    write_weights(m);
}

static void refused(int code, const char *msg, const char *file, int line) {
    err e = {0};
    denoiser *d = (denoiser *)&e;
    int rc = denoiser_load(&d, dir, NULL, &e);
    n_checks++;
    bool named = strncmp(e.msg, dir, strlen(dir)) == 0 && strstr(e.msg, file);
    if (rc == code && e.code == code && d == NULL && named && strstr(e.msg, msg)) return;
    n_failed++;
    print_error("test_checkpoint.c:%d: code %d \"%s\", expected %d \"%s\" in %s\n", line, rc, e.msg, code,
                msg, file);
    if (rc == 0) denoiser_close(d);
}
#define REFUSED(code, msg, file) refused(code, msg, file, __LINE__)

static denoiser *open_dir_at(int line) {
    err e = {0};
    denoiser *d = NULL;
    int rc = denoiser_load(&d, dir, &(denoiser_opts){.precision = K_PRECISION_F32}, &e);
    check_at(rc == 0 && d, line, rc ? e.msg : "opens");
    assert_non_null(d);
    return d;
}
#define OPEN() open_dir_at(__LINE__)

/* ---- damaged checkpoints ---- */

typedef struct damage {
    const char *from, *to;
    int code;
    const char *msg;
} damage;

static void test_config(void **state) {
    (void)state;
    const damage cases[] = {
        {"\"llada\"", "\"gpt2\"", ERR_UNSUPPORTED,
         "model_type: \"gpt2\" is not supported: expected llada, Dream, mdlm"},
        {"\"model_type\": \"llada\"", "\"model\": 1", ERR_BAD_FORMAT,
         "model_type: missing, expected a string"},
        {"\"llada\"", "7", ERR_BAD_FORMAT, "model_type: 7, expected a string"},
        {"\"n_heads\": 4", "\"n_heads\": 0", ERR_BAD_FORMAT,
         "n_heads: 0, expected a whole number from 1 to 1024"},
        {"\"n_heads\": 4", "\"n_heads\": -4", ERR_BAD_FORMAT, "n_heads: -4, expected"},
        {"\"n_heads\": 4", "\"n_heads\": 4.5", ERR_BAD_FORMAT, "n_heads: 4.5, expected"},
        {"\"n_heads\": 4", "\"n_heads\": 1e99", ERR_BAD_FORMAT, "expected a whole number"},
        {"\"n_heads\": 4", "\"n_heads\": \"4\"", ERR_BAD_FORMAT, "n_heads: \"4\", expected"},
        {"\"n_heads\": 4", "\"n_heads\": 5", ERR_BAD_FORMAT, "n_heads: 5, expected a divisor of d_model 64"},
        {"\"n_heads\": 4", "\"n_heads\": 64", ERR_BAD_FORMAT,
         "n_heads: 64, expected a divisor of d_model 64 with"},
        {"\"n_kv_heads\": 4", "\"n_kv_heads\": 3", ERR_BAD_FORMAT,
         "n_kv_heads: 3, expected a divisor of n_heads 4"},
        {"\"d_model\": 64", "\"d_model\": null", ERR_BAD_FORMAT, "d_model: null, expected a whole number"},
        {"\"d_model\": 64", "\"d_model\": 4000000000", ERR_BAD_FORMAT, "d_model: 4000000000, expected"},
        {"\"mask_token_id\"", "\"mask_token\"", ERR_BAD_FORMAT,
         "mask_token_id: missing, expected a whole number from 0 to 47"},
        {"\"mask_token_id\": 47", "\"mask_token_id\": 48", ERR_BAD_FORMAT, "mask_token_id: 48, expected"},
        {"\"eos_token_id\": 46", "\"eos_token_id\": 99", ERR_BAD_FORMAT, "eos_token_id: 99, expected"},
        {"\"rms_norm_eps\": 1e-05", "\"rms_norm_eps\": -1", ERR_BAD_FORMAT,
         "rms_norm_eps: -1, expected a number"},
        {"\"rope_theta\"", "\"theta\"", ERR_BAD_FORMAT, "rope_theta: missing, expected a number"},
        {"\"rope\": true", "\"rope\": false", ERR_UNSUPPORTED, "rope: false, expected true"},
        {"\"rope\": true", "\"alibi\": true", ERR_UNSUPPORTED, "alibi: true, expected false"},
        {"\"rope\": true", "\"block_group_size\": 2", ERR_UNSUPPORTED, "block_group_size: 2, expected 1"},
        {"\"rope\": true", "\"attention_layer_norm\": true", ERR_UNSUPPORTED,
         "attention_layer_norm: true, expected"},
        {"\"rope\": true", "\"num_experts\": 8", ERR_UNSUPPORTED, "num_experts: 8, expected null"},
        {"\"include_bias\": false", "\"include_bias\": true", ERR_UNSUPPORTED,
         "include_bias: true, expected false"},
        {"\"block_type\": \"llama\"", "\"block_type\": \"sequential\"", ERR_UNSUPPORTED,
         "block_type: \"sequential\", expected \"llama\""},
        {"\"layer_norm_type\": \"rms\"", "\"layer_norm_type\": \"default\"", ERR_UNSUPPORTED,
         "expected \"rms\""},
        {"\"activation_type\": \"silu\"", "\"activation_type\": \"swiglu\"", ERR_UNSUPPORTED,
         "expected \"silu\""},
        {"\"weight_tying\": false", "\"weight_tying\": 0", ERR_BAD_FORMAT,
         "weight_tying: 0, expected true or false"},
        {"\"embedding_size\": 48", "\"embedding_size\": 40", ERR_BAD_FORMAT, "embedding_size: 40, expected"},
        {"{", "", ERR_BAD_FORMAT, "not a JSON object"},
        {"{", "[", ERR_BAD_FORMAT, "not a JSON object"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        model m;
        read_model(&m, "llada");
        edit(&m.config, cases[i].from, cases[i].to, false);
        write_model(&m);
        REFUSED(cases[i].code, cases[i].msg, "/config.json: ");
        free_model(&m);
    }
}

static void test_config_against_tensors(void **state) {
    (void)state;
    const damage cases[] = {
        {"\"n_layers\": 3", "\"n_layers\": 4", ERR_BAD_FORMAT,
         "tensor model.transformer.blocks.3.q_proj.weight: missing"},
        {"\"n_layers\": 3", "\"n_layers\": 2", ERR_UNSUPPORTED,
         "tensor model.transformer.blocks.2.attn_norm.weight: not"},
        {"\"vocab_size\": 48", "\"vocab_size\": 40", ERR_BAD_FORMAT, "mask_token_id"},
        {"\"n_kv_heads\": 4", "\"n_kv_heads\": 2", ERR_BAD_FORMAT,
         "tensor model.transformer.blocks.0.k_proj.weight: shape [64,64], expected [32,64]"},
        {"\"include_qkv_bias\": false", "\"include_qkv_bias\": true", ERR_BAD_FORMAT,
         "blocks.0.q_proj.bias: missing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        model m;
        read_model(&m, "llada");
        edit(&m.config, cases[i].from, cases[i].to, false);
        if (i == 2) edit(&m.config, "\"embedding_size\": 48", "\"embedding_size\": null", false);
        write_model(&m);
        REFUSED(cases[i].code, cases[i].msg, i == 2 ? "/config.json: " : "/model.safetensors: ");
        free_model(&m);
    }
}

static void test_header(void **state) {
    (void)state;
    static char deep[20100];
    memset(deep, '[', 20000);
    memcpy(deep, "{\"a\":", 5);
    const damage cases[] = {
        {"{", "x", ERR_BAD_FORMAT, "the header is not a JSON object"},
        {"{", "[", ERR_BAD_FORMAT, "the header is not a JSON object"},
        {"{", deep, ERR_BAD_FORMAT, "the header is not a JSON object"},
        {"}}", "}} trailing", ERR_BAD_FORMAT, "the header is not a JSON object"},
        {"ln_f", "ln_g", ERR_BAD_FORMAT, "tensor model.transformer.ln_f.weight: missing"},
        {"[48, 64]", "[64, 48]", ERR_BAD_FORMAT,
         "tensor model.transformer.wte.weight: shape [64,48], expected [48,64]"},
        {"[48, 64]", "[3072]", ERR_BAD_FORMAT, "wte.weight: shape [3072], expected [48,64]"},
        {"[48, 64]", "[47, 64]", ERR_BAD_FORMAT,
         "wte.weight: 12288 bytes, expected 12032 from dtype and shape"},
        {"[48, 64]", "[-48, -64]", ERR_BAD_FORMAT, "a dimension is not a whole number"},
        {"[48, 64]", "[48, 64.5]", ERR_BAD_FORMAT, "a dimension is not a whole number"},
        {"[48, 64]", "[4294967296, 4294967296]", ERR_BAD_FORMAT, "shape overflows"},
        {"[48, 64]", "[1,1,1,1,1,1,1,48,64]", ERR_BAD_FORMAT, "more than 8 dimensions"},
        {"[48, 64]", "7", ERR_BAD_FORMAT, "shape is missing or not an array"},
        {"\"F32\"", "\"I32\"", ERR_UNSUPPORTED, "wte.weight: dtype I32, expected F32, F16 or BF16"},
        {"\"F32\"", "\"F16\"", ERR_BAD_FORMAT, "wte.weight: 12288 bytes, expected 6144"},
        {"\"F32\"", "\"F8_E5M2\"", ERR_UNSUPPORTED, "dtype F8_E5M2 is not supported"},
        {"\"F32\"", "32", ERR_BAD_FORMAT, "dtype is missing"},
        {"[0, 12288]", "[0, 99999999]", ERR_BAD_FORMAT, "wte.weight: ends at byte 99999999 of"},
        {"[0, 12288]", "[12288, 0]", ERR_BAD_FORMAT, "data_offsets are not two ascending whole numbers"},
        {"[0, 12288]", "[0]", ERR_BAD_FORMAT, "data_offsets are not two ascending"},
        {"[0, 12288]", "[-4, 12284]", ERR_BAD_FORMAT, "data_offsets are not two ascending"},
        {"[0, 12288]", "[4, 12292]", ERR_BAD_FORMAT, "leaves a gap before it"},
        {"[12288, 12544]", "[12284, 12540]", ERR_BAD_FORMAT, "overlaps another tensor"},
        {"blocks.0.q_proj", "blocks.1.q_proj", ERR_BAD_FORMAT, "blocks.1.q_proj.weight: named twice"},
        {"{\"dtype\": \"F32\", \"shape\": [48, 64], \"data_offsets\": [0, 12288]}", "3", ERR_BAD_FORMAT,
         "not an object"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        model m;
        read_model(&m, "llada");
        edit(&m.header, cases[i].from, cases[i].to, false);
        write_model(&m);
        REFUSED(cases[i].code, cases[i].msg, "/model.safetensors: ");
        free_model(&m);
    }
}

static void test_truncation(void **state) {
    (void)state;
    model m;
    read_model(&m, "llada");
    size_t h = 8 + m.header.len, all = h + m.data.len;
    size_t lengths[] = {0, 1, 7, 8, 9, h / 2, h - 1, h, h + 1, h + 12287, all / 2, all - 4, all - 1};
    write_model(&m);
    for (size_t i = sizeof lengths / sizeof *lengths; i-- > 0;) {
        assert_int_equal(truncate(in_dir("model.safetensors"), (off_t)lengths[i]), 0);
        REFUSED(ERR_BAD_FORMAT, "truncated", "/model.safetensors: ");
    }
    strbuf_puts(&m.data, "abc");
    write_weights(&m);
    REFUSED(ERR_BAD_FORMAT, "3 bytes after the last tensor", "/model.safetensors: ");
    for (int i = 0; i < 8; i++) { /* a header length gone wrong */
        unsigned char n[8] = {0};
        n[i] = 0xff;
        write_file("model.safetensors", n, 8, m.header.data, m.header.len, m.data.data, m.data.len);
        REFUSED(ERR_BAD_FORMAT, i < 2 ? "the header is not a JSON object" : "does not fit the file",
                "/model.safetensors: ");
    }
    free_model(&m);
}

/* Whatever bytes change, the answer is a model or a message; the sanitizers watch the rest. */
static void test_random_damage(void **state) {
    (void)state;
    static const char bytes[] = "0123456789-eE.,:[]{}\"\\ nul\x01\xff";
    model m;
    read_model(&m, "llada");
    for (uint64_t round = 0; round < 200; round++) {
        strbuf *b = round % 2 ? &m.config : &m.header;
        char keep[4];
        size_t at[4], n = 1 + round / 2 % 4;
        for (size_t i = 0; i < n; i++) {
            at[i] = rng_bits(7, round, i, 0, RNG_POSITION) % b->len;
            keep[i] = b->data[at[i]];
            b->data[at[i]] = bytes[rng_bits(7, round, i, 0, RNG_TOKEN) % (sizeof bytes - 1)];
        }
        write_model(&m);
        err e = {0};
        denoiser *d;
        int rc = denoiser_load(&d, dir, NULL, &e);
        CHECK(rc == 0 ? d != NULL : d == NULL && e.code == rc && strncmp(e.msg, dir, strlen(dir)) == 0);
        denoiser_close(d);
        for (size_t i = n; i-- > 0;) b->data[at[i]] = keep[i];
    }
    free_model(&m);
}

static void test_files(void **state) {
    (void)state;
    model m;
    err e = {0};
    denoiser *d;
    read_model(&m, "llada");
    write_model(&m);
    CHECK(denoiser_load(&d, in_dir("model.safetensors"), NULL, &e) == ERR_BAD_FORMAT && d == NULL);
    CHECK(strstr(e.msg, "not a checkpoint directory (expected config.json and model.safetensors)") != NULL);
    CHECK(denoiser_load(&d, in_dir("nowhere"), NULL, &e) == ERR_NOT_FOUND && d == NULL);
    unlink(in_dir("model.safetensors"));
    REFUSED(ERR_NOT_FOUND, "No such file", "/model.safetensors: ");
    mkdir(in_dir("model.safetensors"), 0700);
    REFUSED(ERR_IO, "not a regular file", "/model.safetensors: ");
    rmdir(in_dir("model.safetensors"));
    unlink(in_dir("config.json"));
    REFUSED(ERR_NOT_FOUND, "No such file", "/config.json: ");
    free_model(&m);
}

/* ---- sound variants ---- */

enum { N = 7, V = 48, D = 64 };
static const int32_t tokens[N] = {3, 47, 9, 47, 20, 47, 31};

typedef struct result {
    float logits[3 * V];
    float grad[2 * D]; /* at positions 1 and 3, of the sum of the three masks' entropies */
} result;

static result run(denoiser *d) {
    result r;
    err e = {0};
    sequence s = {tokens, N};
    row_ref rows[] = {{0, 1}, {0, 3}, {0, 5}};
    float w[] = {1, 1, 1};
    int wrt[] = {1, 3};
    pass *p = pass_new();
    forward_req q = {.seqs = &s, .n_seqs = 1, .rows = rows, .n_rows = 3, .keep = true};
    if (denoiser_forward(d, &q, p, &e)) fail_msg("%s", e.msg);
    for (int i = 0; i < 3; i++) memcpy(r.logits + i * V, pass_logits(p, i), sizeof(float) * V);
    backward_req b = {.n_seeds = 1, .weights = w, .wrt = wrt, .n_wrt = 2};
    if (denoiser_backward(d, p, &b, r.grad, NULL, &e)) fail_msg("%s", e.msg);
    pass_free(p);
    return r;
}

static result run_model(const model *m) {
    write_model(m);
    denoiser *d = OPEN();
    result r = run(d);
    denoiser_close(d);
    return r;
}

static bool same_logits(const result *a, const result *b) {
    return memcmp(a->logits, b->logits, sizeof a->logits) == 0;
}

/* Bytes of a tensor in m->data. */
static size_t find_tensor(const model *m, const char *name, size_t *begin) {
    safetensors *f;
    err e = {0};
    write_weights(m);
    if (safetensors_open(&f, in_dir("model.safetensors"), &e)) fail_msg("%s", e.msg);
    const tensor *t = safetensors_find(f, name);
    assert_non_null(t);
    *begin = t->begin;
    size_t n = t->bytes;
    safetensors_close(f);
    return n;
}

static void scale_tensor(model *m, const char *name, float by) {
    size_t begin, n = find_tensor(m, name, &begin);
    for (size_t i = begin; i < begin + n; i += 4) {
        float f;
        memcpy(&f, m->data.data + i, 4);
        f *= by;
        memcpy(m->data.data + i, &f, 4);
    }
}

/* Round every weight to BF16; `narrow` also stores it so. */
static void to_bf16(model *m, bool narrow) {
    size_t n = m->data.len / 4;
    for (size_t i = 0; i < n; i++) {
        unsigned char *src = (unsigned char *)m->data.data + 4 * i;
        src[0] = src[1] = 0; /* truncation is as good as rounding here */
        if (narrow) memmove(m->data.data + 2 * i, src + 2, 2);
    }
    if (!narrow) return;
    m->data.len = 2 * n;
    edit(&m->header, "\"F32\"", "\"BF16\"", true);
    strbuf out;
    strbuf_init(&out, 1 << 24);
    const char *p = m->header.data, *hit;
    while ((hit = strstr(p, "\"data_offsets\": ["))) {
        char *end;
        hit += strlen("\"data_offsets\": [");
        strbuf_add(&out, p, (size_t)(hit - p));
        unsigned long a = strtoul(hit, &end, 10), b = strtoul(end + 1, &end, 10);
        strbuf_printf(&out, "%lu, %lu", a / 2, b / 2);
        p = end;
    }
    strbuf_puts(&out, p);
    strbuf_release(&m->header);
    m->header = out;
}

static void test_dtypes(void **state) {
    (void)state;
    model wide, narrow;
    read_model(&wide, "llada");
    read_model(&narrow, "llada");
    result exact = run_model(&wide);
    to_bf16(&wide, false);
    to_bf16(&narrow, true);
    result a = run_model(&wide), b = run_model(&narrow);
    CHECK(same_logits(&a, &b));
    CHECK(!same_logits(&a, &exact));
    denoiser *d = OPEN();
    CHECK(strcmp(denoiser_get_info(d)->dtype, "BF16") == 0);
    CHECK(denoiser_get_info(d)->weight_bytes == narrow.data.len);
    CHECK(denoiser_get_info(d)->n_params == (int64_t)(narrow.data.len / 2));
    denoiser_close(d);
    free_model(&wide);
    free_model(&narrow);
}

/* The writer's padding makes data 8-aligned; nothing may depend on it. */
static void test_misaligned(void **state) {
    (void)state;
    model m;
    read_model(&m, "llada");
    result a = run_model(&m);
    for (int i = 0; i < 3; i++) {
        strbuf_putc(&m.header, ' ');
        result b = run_model(&m);
        CHECK(same_logits(&a, &b));
    }
    free_model(&m);
}

static void test_options(void **state) {
    (void)state;
    model plain, m;
    read_model(&plain, "llada");
    result want = run_model(&plain);

    read_model(&m, "llada"); /* n_kv_heads absent means n_heads; embedding_size null means vocab_size */
    edit(&m.config, "\"n_kv_heads\": 4,", "", false);
    edit(&m.config, "\"embedding_size\": 48", "\"embedding_size\": null", false);
    result got = run_model(&m);
    CHECK(same_logits(&got, &want));
    free_model(&m);

    read_model(&m, "llada"); /* sqrt(64) is a power of two: scaling commutes with rounding */
    edit(&m.config, "\"rope\": true", "\"input_emb_norm\": true", false);
    scale_tensor(&m, "model.transformer.wte.weight", 0.125f);
    got = run_model(&m);
    CHECK(same_logits(&got, &want));
    for (int i = 0; i < 2 * D; i++) CHECK(got.grad[i] == 8 * want.grad[i]);
    free_model(&m);

    read_model(&m, "llada");
    edit(&m.config, "\"rope\": true", "\"scale_logits\": true", false);
    scale_tensor(&m, "model.transformer.ff_out.weight", 8);
    got = run_model(&m);
    CHECK(same_logits(&got, &want));
    CHECK(memcmp(got.grad, want.grad, sizeof got.grad) == 0);
    free_model(&m);
    free_model(&plain);
}

static void test_tied(void **state) {
    (void)state;
    model a, b;
    size_t from, to;
    read_model(&a, "llada");
    read_model(&b, "llada");
    size_t n = find_tensor(&a, "model.transformer.wte.weight", &from);
    CHECK(find_tensor(&a, "model.transformer.ff_out.weight", &to) == n);
    memcpy(a.data.data + to, a.data.data + from, n);
    edit(&b.config, "\"weight_tying\": false", "\"weight_tying\": true", false);
    result x = run_model(&a), y = run_model(&b);
    CHECK(same_logits(&x, &y));
    free_model(&a);
    free_model(&b);
}

/* Tensors [from, to) of the sound model, in order of name, as one file; their names join the index. */
static void write_shard(const safetensors *f, int from, int to, const char *file, strbuf *index) {
    strbuf header, data;
    strbuf_init(&header, 1 << 24);
    strbuf_init(&data, 1 << 24);
    for (int i = from; i < to; i++) {
        const tensor *t = safetensors_at(f, i);
        strbuf_printf(&header, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%lld", i > from ? "," : "{", t->name,
                      (long long)t->shape[0]);
        if (t->n_dims == 2) strbuf_printf(&header, ",%lld", (long long)t->shape[1]);
        strbuf_printf(&header, "],\"data_offsets\":[%zu,%zu]}", data.len, data.len + t->bytes);
        strbuf_add(&data, t->data, t->bytes);
        strbuf_printf(index, "%s\"%s\":\"%s\"", index->len > 15 ? "," : "", t->name, file);
    }
    strbuf_putc(&header, '}');
    unsigned char n[8] = {(unsigned char)header.len, (unsigned char)(header.len >> 8)};
    write_file(file, n, 8, header.data, header.len, data.data, data.len);
    strbuf_release(&header);
    strbuf_release(&data);
}

static void write_index(const strbuf *index, const char *end) {
    write_file("model.safetensors.index.json", index->data, index->len, end, strlen(end), "", 0);
}

static void test_shards(void **state) {
    (void)state;
    model m;
    err e = {0};
    strbuf index;
    safetensors *f;
    char mark[40];
    read_model(&m, "llada");
    result want = run_model(&m);
    denoiser *d = OPEN();
    memcpy(mark, denoiser_get_info(d)->fingerprint, sizeof mark);
    denoiser_close(d);
    unlink(in_dir("model.safetensors"));
    if (safetensors_open(&f, "tests/vectors/llada/model.safetensors", &e)) fail_msg("%s", e.msg);
    strbuf_init(&index, 1 << 20);
    strbuf_puts(&index, "{\"weight_map\":{");
    write_shard(f, 0, 11, "a.safetensors", &index);
    write_shard(f, 11, safetensors_count(f), "b.safetensors", &index);
    write_index(&index, "}}");
    d = OPEN();
    result got = run(d);
    CHECK(same_logits(&got, &want));
    CHECK(strcmp(denoiser_get_info(d)->fingerprint, mark) == 0);
    denoiser_close(d);
    write_index(&index, ",\"more\":\"c.safetensors\"}}");
    REFUSED(ERR_NOT_FOUND, "No such file", "/c.safetensors: ");
    write_index(&index, ",\"more\":\"../b.safetensors\"}}");
    REFUSED(ERR_BAD_FORMAT, "tensor more: expected the name of a file beside",
            "/model.safetensors.index.json: ");
    write_index(&index, ",\"more\":3}}");
    REFUSED(ERR_BAD_FORMAT, "tensor more: expected the name of a file beside",
            "/model.safetensors.index.json: ");
    write_index(&index, "}");
    REFUSED(ERR_BAD_FORMAT, "weight_map: missing", "/model.safetensors.index.json: ");
    write_index(&index, "}}");
    strbuf_clear(&index);
    write_shard(f, 10, safetensors_count(f), "b.safetensors", &index);
    REFUSED(ERR_BAD_FORMAT, "also in", ".safetensors: ");
    write_shard(f, 12, safetensors_count(f), "b.safetensors", &index);
    REFUSED(ERR_BAD_FORMAT, "missing", "/model.safetensors.index.json: ");
    unlink(in_dir("model.safetensors.index.json"));
    unlink(in_dir("a.safetensors"));
    unlink(in_dir("b.safetensors"));
    safetensors_close(f);
    strbuf_release(&index);
    free_model(&m);
}

static void test_nan_weight(void **state) {
    (void)state;
    model m;
    err e = {0};
    size_t begin;
    float nan = NAN;
    sequence s = {tokens, N};
    row_ref row = {0, 1};
    read_model(&m, "llada");
    find_tensor(&m, "model.transformer.blocks.1.ff_out.weight", &begin);
    memcpy(m.data.data + begin, &nan, 4);
    write_model(&m);
    denoiser *d = OPEN();
    pass *p = pass_new();
    forward_req q = {.seqs = &s, .n_seqs = 1, .rows = &row, .n_rows = 1};
    CHECK(denoiser_forward(d, &q, p, &e) == ERR_BAD_FORMAT);
    CHECK(strcmp(e.msg, "NaN in the output of layer 1, row 0 (sequence 0)") == 0);
    pass_free(p);
    denoiser_close(d);
    free_model(&m);
}

/* In a batch of several sequences, too. */
static void test_nan_embedding(void **state) {
    (void)state;
    model m;
    err e = {0};
    size_t begin;
    float nan = NAN;
    int32_t clean[N];
    for (int i = 0; i < N; i++) clean[i] = tokens[0];
    clean[3] = tokens[0] ? 0 : 1;
    const sequence seqs[] = {{(int32_t[]){tokens[0], tokens[0], tokens[0]}, 3}, {clean, N}};
    row_ref row = {0, 1};
    read_model(&m, "llada");
    find_tensor(&m, "model.transformer.wte.weight", &begin);
    denoiser *d = OPEN();
    begin += (size_t)clean[3] * (size_t)denoiser_get_info(d)->d_model * sizeof nan;
    denoiser_close(d);
    memcpy(m.data.data + begin, &nan, sizeof nan);
    write_model(&m);
    d = OPEN();
    pass *p = pass_new();
    forward_req q = {.seqs = seqs, .n_seqs = 2, .rows = &row, .n_rows = 1};
    CHECK(denoiser_forward(d, &q, p, &e) == ERR_BAD_FORMAT);
    CHECK(strcmp(e.msg, "NaN in the output of the embedding, row 3 (sequence 1)") == 0);
    pass_free(p);
    denoiser_close(d);
    free_model(&m);
}

static void test_fingerprint(void **state) {
    (void)state;
    model m;
    char first[40];
    read_model(&m, "llada");
    result want = run_model(&m);
    denoiser *d = OPEN();
    memcpy(first, denoiser_get_info(d)->fingerprint, sizeof first);
    CHECK(strlen(first) == 32 && strspn(first, "0123456789abcdef") == 32);
    denoiser_close(d);
    for (size_t i = 0; i < m.data.len; i += m.data.len / 37) { /* any byte */
        m.data.data[i] ^= 1;
        write_model(&m);
        d = OPEN();
        CHECK(strcmp(denoiser_get_info(d)->fingerprint, first) != 0);
        denoiser_close(d);
        m.data.data[i] ^= 1;
    }
    size_t begin;
    find_tensor(&m, "model.transformer.blocks.2.up_proj.weight", &begin);
    m.data.data[begin + 3] ^= 1; /* a high exponent bit */
    result got = run_model(&m);
    double distance = 0;
    for (int i = 0; i < 3 * V; i++) {
        if (i % V != 47) distance = fmax(distance, fabs((double)got.logits[i] - (double)want.logits[i]));
    }
    CHECK(distance > 1e-2);
    m.data.data[begin + 3] ^= 1;
    strbuf_putc(&m.config, '\n');
    write_model(&m);
    d = OPEN();
    CHECK(strcmp(denoiser_get_info(d)->fingerprint, first) != 0);
    denoiser_close(d);
    free_model(&m);
}

static void test_info(void **state) {
    (void)state;
    err e = {0};
    denoiser *d;
    if (denoiser_load(&d, "tests/vectors/dream/", NULL, &e)) fail_msg("%s", e.msg);
    const denoiser_info *i = denoiser_get_info(d);
    CHECK(strcmp(i->arch, "dream") == 0 && strcmp(i->name, "dream") == 0 && strcmp(i->dtype, "F32") == 0);
    CHECK(i->n_vocab == 48 && i->d_model == 64 && i->n_layers == 3 && i->n_heads == 4 && i->n_kv_heads == 2);
    CHECK(i->mlp_size == 96 && i->max_len == 256 && i->mask_id == 47 && i->bos_id == 45 && i->eos_id == 46);
    CHECK(i->pad_id == 46 && i->shifted && denoiser_emit(d, 0) == 0 && denoiser_emit(d, 5) == 4);
    denoiser_close(d);
    if (denoiser_load(&d, "tests/vectors/llada", NULL, &e)) fail_msg("%s", e.msg);
    i = denoiser_get_info(d);
    CHECK(strcmp(i->arch, "llada") == 0 && i->bos_id == -1 && !i->shifted && denoiser_emit(d, 5) == 5);
    denoiser_close(d);
}

static void test_dream(void **state) {
    (void)state;
    const damage cases[] = {
        {"\"hidden_act\": \"silu\"", "\"hidden_act\": \"gelu\"", ERR_UNSUPPORTED,
         "hidden_act: \"gelu\", expected \"silu\""},
        {"\"hidden_act\": \"silu\"", "\"rope_scaling\": {\"factor\": 2}", ERR_UNSUPPORTED,
         "rope_scaling: {\"factor\":2}"},
        {"\"hidden_act\": \"silu\"", "\"use_sliding_window\": true", ERR_UNSUPPORTED,
         "use_sliding_window: true"},
        {"\"num_attention_heads\": 4", "\"heads\": 4", ERR_BAD_FORMAT, "num_attention_heads: missing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        model m;
        read_model(&m, "dream");
        edit(&m.config, cases[i].from, cases[i].to, false);
        write_model(&m);
        REFUSED(cases[i].code, cases[i].msg, "/config.json: ");
        free_model(&m);
    }
    model m;
    read_model(&m, "dream");
    edit(&m.header, "layers.1.self_attn.v_proj.bias", "layers.1.self_attn.v_proj.bian", false);
    write_model(&m);
    REFUSED(ERR_BAD_FORMAT, "tensor model.layers.1.self_attn.v_proj.bias: missing", "/model.safetensors: ");
    free_model(&m);
}

/* A vocabulary so large that the weights stay mapped and are widened by tile. Rows beyond the first 48
 * are zero (and take no disk space), so the first 48 logits are those of the small model. */
static void test_mapped(void **state) {
    (void)state;
    enum { ROWS = 1100000 };
    model m;
    size_t begin;
    char shape[40], range[60];
    read_model(&m, "llada");
    to_bf16(&m, true);
    edit(&m.config, "\"weight_tying\": false", "\"weight_tying\": true", false);
    result want = run_model(&m);
    /* the head's slot, last in the file, becomes the tall embedding */
    size_t n = find_tensor(&m, "model.transformer.ff_out.weight", &begin), from;
    find_tensor(&m, "model.transformer.wte.weight", &from);
    memcpy(m.data.data + begin, m.data.data + from, n);
    CHECK(begin + n == m.data.len);
    snprintf(shape, sizeof shape, "%zu, %zu]", begin, begin + n);
    snprintf(range, sizeof range, "%zu, %zu]", begin, begin + (size_t)ROWS * D * 2);
    edit(&m.header, shape, range, false);
    edit(&m.header, "transformer.wte.weight", "transformer.old.weight", false);
    edit(&m.header, "\"model.transformer.ff_out.weight\": {\"dtype\": \"BF16\", \"shape\": [48, 64]",
         "\"model.transformer.wte.weight\": {\"dtype\": \"BF16\", \"shape\": [1100000, 64]", false);
    edit(&m.header, "model.transformer.old.weight", "model.transformer.ff_out.weight", false);
    edit(&m.config, "\"vocab_size\": 48", "\"vocab_size\": 1100000", false);
    edit(&m.config, "\"embedding_size\": 48", "\"embedding_size\": 1100000", false);
    write_model(&m);
    off_t file_size = (off_t)(8 + m.header.len + begin + (size_t)ROWS * D * 2);
    assert_int_equal(truncate(in_dir("model.safetensors"), file_size), 0);
    denoiser *d = OPEN();
    err e = {0};
    sequence s = {tokens, N};
    row_ref row = {0, 1};
    pass *p = pass_new();
    forward_req q = {.seqs = &s, .n_seqs = 1, .rows = &row, .n_rows = 1, .whole_rows = true};
    CHECK(denoiser_forward(d, &q, p, &e) == 0);
    double distance = 0;
    for (int v = 0; v < 47; v++)
        distance = fmax(distance, fabs((double)pass_logits(p, 0)[v] - (double)want.logits[v]));
    CHECK(distance < 1e-4);
    CHECK(pass_logits(p, 0)[48] == 0 && pass_logits(p, 0)[ROWS - 1] == 0);
    pass_free(p);
    denoiser_close(d);
    free_model(&m);
}

int main(void) {
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%.40s/tabes-test-XXXXXX", tmp && strlen(tmp) <= 40 ? tmp : "/tmp");
    if (!mkdtemp(dir)) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config),        cmocka_unit_test(test_config_against_tensors),
        cmocka_unit_test(test_header),        cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_random_damage), cmocka_unit_test(test_shards),
        cmocka_unit_test(test_files),         cmocka_unit_test(test_dtypes),
        cmocka_unit_test(test_misaligned),    cmocka_unit_test(test_options),
        cmocka_unit_test(test_tied),          cmocka_unit_test(test_nan_weight),
        cmocka_unit_test(test_nan_embedding), cmocka_unit_test(test_fingerprint),
        cmocka_unit_test(test_info),          cmocka_unit_test(test_dream),
        cmocka_unit_test(test_mapped),
    };
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(in_dir("model.safetensors"));
    unlink(in_dir("config.json"));
    rmdir(dir);
    printf("checkpoint: %d checks, %d failed\n", n_checks, n_failed);
    return rc || n_failed;
}
