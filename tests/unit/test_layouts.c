/* test_layouts.c - models in GGUF files: the weights of tests/vectors in the names, order and types that
 * converters give them compute what the Hugging Face directory computes, and a random model in blocks
 * computes what its dequantised weights compute; what a person may say instead of the file; what is refused.
 *
 * Bounds: 1e-5 of the largest logit where the numbers are the same ones and only the order of sums differs,
 * 1e-4 between weights in blocks and the same weights as float32. */
#include "checks.h"
#include "device.h"
#include "gguf_writer.h"

#include <stdlib.h>
#include <unistd.h>

#include "engine/base/mem.h"
#include "engine/base/rng.h"
#include "engine/denoiser.h"
#include "engine/formats/safetensors.h"
#include <kernels/blocks.h> /* not the one beside this file */

static char dir[64];

static const char *in_dir(const char *name) {
    static char path[160];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

/* ---- storage types ---- */

static k_dtype dtype_of(int type) {
    static const struct {
        int type;
        k_dtype dtype;
    } all[] = {{GW_F32, K_F32},   {GW_F16, K_F16},   {GW_BF16, K_BF16}, {GW_Q8_0, K_Q8_0}, {GW_Q4_0, K_Q4_0},
               {GW_Q4_1, K_Q4_1}, {GW_Q5_0, K_Q5_0}, {GW_Q5_1, K_Q5_1}, {GW_Q2_K, K_Q2_K}, {GW_Q3_K, K_Q3_K},
               {GW_Q4_K, K_Q4_K}, {GW_Q5_K, K_Q5_K}, {GW_Q6_K, K_Q6_K}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (all[i].type == type) return all[i].dtype;
    }
    fail_msg("no type %d", type);
    return K_F32;
}

static uint16_t to_half(double x) {
    int e;
    double size = fabs(x);
    unsigned sign = signbit(x) ? 0x8000u : 0;
    frexp(size, &e);
    if (e + 14 < 1) return (uint16_t)(sign | (unsigned)lrint(ldexp(size, 24)));
    unsigned mantissa = (unsigned)lrint(ldexp(size, 11 - e)) - 1024; /* 1024 goes into the exponent */
    return (uint16_t)(sign | (((unsigned)(e + 14) << 10) + mantissa));
}

static uint16_t to_bf16(float x) {
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return (uint16_t)((u + 0x7fffu + (u >> 16 & 1)) >> 16);
}

/* Rounds to a half, appends it, and gives what it became. */
static double put_half(strbuf *b, double x) {
    uint16_t h = to_half(x);
    gw_bytes(b, h, 2);
    return (double)k_half_value(h);
}

/* 32 numbers of 4 or 5 bits: high bits first, where there are any, then nibbles, low ones first. */
static void put_small(strbuf *b, const int *q, bool fifth) {
    uint32_t high = 0;
    for (int i = 0; i < 32; i++) high |= (uint32_t)(q[i] >> 4) << i;
    if (fifth) gw_bytes(b, high, 4);
    for (int i = 0; i < 16; i++) gw_bytes(b, (unsigned)(q[i] & 15) | (unsigned)(q[16 + i] & 15) << 4, 1);
}

static void put_block(strbuf *b, int type, const float *x) {
    double most = 0, low = (double)x[0], high = low;
    int q[32], half = type == GW_Q4_0 ? 8 : 16;
    for (int i = 0; i < 32; i++) {
        most = fmax(most, fabs((double)x[i]));
        low = fmin(low, (double)x[i]), high = fmax(high, (double)x[i]);
    }
    bool fifth = type == GW_Q5_0 || type == GW_Q5_1, plain = type == GW_Q8_0;
    if (plain || type == GW_Q4_0 || type == GW_Q5_0) { /* about zero */
        double d = put_half(b, plain ? most / 127 : most / (half - 1));
        for (int i = 0; i < 32; i++) q[i] = d > 0 ? (int)lrint((double)x[i] / d) : 0;
        for (int i = 0; i < 32 && plain; i++) gw_bytes(b, (uint64_t)q[i], 1);
        for (int i = 0; i < 32; i++) q[i] += half;
    } else {
        int levels = fifth ? 31 : 15;
        double d = put_half(b, (high - low) / levels), m = put_half(b, low);
        for (int i = 0; i < 32; i++) q[i] = d > 0 ? (int)lrint(((double)x[i] - m) / d) : 0;
        for (int i = 0; i < 32; i++) q[i] = q[i] < 0 ? 0 : q[i] > levels ? levels : q[i];
    }
    if (!plain) put_small(b, q, fifth);
}

/* Initialises `out`. Types of 256 are not encoded here: their blocks are made at random. */
static void encode(strbuf *out, int type, const float *x, size_t n) {
    strbuf_init(out, 1 << 26);
    if (type == GW_F32) {
        strbuf_add(out, x, n * sizeof *x);
    } else if (type == GW_F16) {
        for (size_t i = 0; i < n; i++) put_half(out, (double)x[i]);
    } else if (type == GW_BF16) {
        for (size_t i = 0; i < n; i++) gw_bytes(out, to_bf16(x[i]), 2);
    } else {
        for (size_t i = 0; i < n; i += 32) put_block(out, type, x + i);
    }
}

/* The numbers that the bytes stand for; free() them. */
static float *decode(int type, const void *bytes, int rows, int cols) {
    float *x = mem_new((size_t)rows * (size_t)cols, sizeof *x);
    int32_t *ids = mem_new((size_t)rows, sizeof *ids);
    k_weight w = {.part = {{bytes, dtype_of(type), rows, cols}}, .n_parts = 1, .rows = rows, .cols = cols};
    assert_non_null(x);
    assert_non_null(ids);
    for (int i = 0; i < rows; i++) ids[i] = i;
    kernels_cpu()->embed(kernels_cpu(), x, ids, rows, &w, 1);
    free(ids);
    return x;
}

/* ---- the weights of tests/vectors as a converter writes them ---- */

enum { WITHOUT_MASK = 1, WITHOUT_SHIFT = 2, WITHOUT_HEAD = 4 };

typedef struct recipe {
    const char *from, *arch; /* folder of tests/vectors; general.architecture */
    bool pairs;              /* rows of queries and keys are put in pairs */
    int type;                /* of matrices */
    bool rounded;            /* rounded to that type, but stored as float32 */
    unsigned without;        /* values and tensors to leave out */
    void (*more)(gguf_writer *);
} recipe;

enum { HEADS = 4, KV_HEADS = 2, CONTEXT = 256, V = 48, D = 64, MASK = 47 };

static void write_values(gguf_writer *w, const recipe *r) {
    bool qwen3 = strstr(r->from, "qwen3"), llada = strstr(r->from, "llada");
    char key[80];
    gw_text(w, "general.architecture", r->arch);
    const struct {
        const char *key;
        int value;
    } whole[] = {
        {"block_count", 3},          {"context_length", CONTEXT},     {"embedding_length", D},
        {"feed_forward_length", 96}, {"attention.head_count", HEADS}, {"attention.head_count_kv", KV_HEADS},
        {"attention.key_length", 32}};
    for (size_t i = 0; i < 6 + (size_t)qwen3; i++) {
        snprintf(key, sizeof key, "%s.%s", r->arch, whole[i].key);
        gw_whole(w, key, i % 2 ? GW_U32 : GW_U64, whole[i].value);
    }
    snprintf(key, sizeof key, "%s.rope.freq_base", r->arch);
    gw_real(w, key, GW_REAL32, qwen3 ? 1e6 : 1e4);
    snprintf(key, sizeof key, "%s.attention.layer_norm_rms_epsilon", r->arch);
    gw_real(w, key, GW_REAL32, llada ? 1e-5 : 1e-6);
    snprintf(key, sizeof key, "%s.attention.causal", r->arch);
    gw_whole(w, key, GW_BOOL, 0);
    snprintf(key, sizeof key, "%s.rope.dimension_count", r->arch);
    if (llada) gw_whole(w, key, GW_U32, D / HEADS);
    if (!(r->without & WITHOUT_SHIFT) && !strstr(r->from, "dream"))
        gw_whole(w, "diffusion.shift_logits", GW_BOOL, 0);
    if (!(r->without & WITHOUT_MASK)) gw_whole(w, "tokenizer.ggml.mask_token_id", GW_U32, MASK);
    gw_whole(w, "tokenizer.ggml.eos_token_id", GW_U32, 46);
    gw_whole(w, "tokenizer.ggml.padding_token_id", GW_U32, 46);
    if (!llada && !qwen3) gw_whole(w, "tokenizer.ggml.bos_token_id", GW_U32, 45);
    if (r->more) r->more(w);
}

/* models.md's table of names; in_block: after the layer's number. */
static const struct {
    const char *from, *to;
    bool in_block;
} names[] = {
    {"model.transformer.wte", "token_embd", false},
    {"model.transformer.ln_f", "output_norm", false},
    {"model.transformer.ff_out", "output", false},
    {"q_proj", "attn_q", true},
    {"k_proj", "attn_k", true},
    {"v_proj", "attn_v", true},
    {"attn_out", "attn_output", true},
    {"attn_norm", "attn_norm", true},
    {"ff_norm", "ffn_norm", true},
    {"ff_proj", "ffn_gate", true},
    {"up_proj", "ffn_up", true},
    {"ff_out", "ffn_down", true},
    {"model.embed_tokens", "token_embd", false},
    {"model.norm", "output_norm", false},
    {"lm_head", "output", false},
    {"input_layernorm", "attn_norm", true},
    {"post_attention_layernorm", "ffn_norm", true},
    {"self_attn.q_proj", "attn_q", true},
    {"self_attn.k_proj", "attn_k", true},
    {"self_attn.v_proj", "attn_v", true},
    {"self_attn.q_norm", "attn_q_norm", true},
    {"self_attn.k_norm", "attn_k_norm", true},
    {"self_attn.o_proj", "attn_output", true},
    {"mlp.gate_proj", "ffn_gate", true},
    {"mlp.up_proj", "ffn_up", true},
    {"mlp.down_proj", "ffn_down", true},
};

/* NAME.weight or NAME.bias, in a block or not, under its new name. */
static void convert_name(char *out, size_t size, const char *name) {
    int layer = -1, n = 0;
    if (sscanf(name, "model.transformer.blocks.%d.%n", &layer, &n) < 1)
        sscanf(name, "model.layers.%d.%n", &layer, &n);
    const char *stem = name + n, *end = strrchr(name, '.');
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t len = strlen(names[i].from);
        if (names[i].in_block != (layer >= 0) || (size_t)(end - stem) != len) continue;
        if (memcmp(stem, names[i].from, len) != 0) continue;
        if (layer < 0) snprintf(out, size, "%s%s", names[i].to, end);
        if (layer >= 0) snprintf(out, size, "blk.%d.%s%s", layer, names[i].to, end);
        return;
    }
    fail_msg("no name for %s", name);
}

/* new[h·hd + 2i + s] = old[h·hd + s·hd/2 + i] */
static void put_in_pairs(float *x, int rows, size_t width, int hd) {
    float *old = mem_copy(x, (size_t)rows * width, sizeof *x);
    assert_non_null(old);
    for (int r = 0; r < rows; r++) {
        int h = r / hd, i = r % hd / 2, s = r % 2;
        memcpy(x + (size_t)r * width, old + (size_t)(h * hd + s * hd / 2 + i) * width, width * sizeof *x);
    }
    free(old);
}

static void write_tensor(gguf_writer *w, const recipe *r, const tensor *t) {
    char name[80];
    convert_name(name, sizeof name, t->name);
    if ((r->without & WITHOUT_HEAD) && strcmp(name, "output.weight") == 0) return;
    float *x = mem_copy(t->data, t->bytes, 1);
    assert_non_null(x);
    int rows = (int)t->shape[0], cols = t->n_dims == 2 ? (int)t->shape[1] : 1;
    int type = t->n_dims == 2 ? r->type : GW_F32;
    bool turned = strstr(name, "attn_q.") || strstr(name, "attn_k.");
    if (r->pairs && turned) put_in_pairs(x, rows, (size_t)cols, D / HEADS);
    strbuf bytes;
    encode(&bytes, type, x, (size_t)rows * (size_t)cols);
    if (r->rounded && type != GW_F32) {
        float *y = decode(type, bytes.data, rows, cols);
        gw_tensor(w, name, GW_F32, t->n_dims, t->shape, y, t->bytes);
        free(y);
    } else {
        gw_tensor(w, name, type, t->n_dims, t->shape, bytes.data, bytes.len);
    }
    strbuf_release(&bytes);
    free(x);
}

static void write_recipe(const recipe *r, const char *file) {
    char path[100];
    gguf_writer w;
    safetensors *s;
    err e = {0};
    snprintf(path, sizeof path, "tests/vectors/%s/model.safetensors", r->from);
    MUST(safetensors_open(&s, path, &e), &e);
    gw_init(&w);
    write_values(&w, r);
    for (int i = 0; i < safetensors_count(s); i++) write_tensor(&w, r, safetensors_at(s, i));
    gw_save(&w, in_dir(file));
    gw_release(&w);
    safetensors_close(s);
}

/* ---- what a model computes ---- */

enum { N = 12, MASKS = 6 };
static const int32_t tokens[N] = {3, 47, 9, 47, 20, 47, 31, 47, 47, 8, 40, 47};
static const int masks[MASKS] = {1, 3, 5, 7, 8, 11}; /* at these positions, whatever the mask's id */

typedef struct result {
    int n_logits, width;
    double *logits;      /* of all rows, without the mask's */
    double *grad, *soft; /* of the masks' entropies along the masks' embeddings; soft writes of the masks */
} result;

static double *to_double(const float *x, size_t n) {
    double *y = mem_new(n, sizeof *y);
    assert_non_null(y);
    for (size_t i = 0; i < n; i++) y[i] = (double)x[i];
    return y;
}

static void free_result(result *r) {
    free(r->logits);
    free(r->grad);
    free(r->soft);
}

static void read_logits(const denoiser *d, const pass *p, result *r) {
    const denoiser_info *info = denoiser_get_info(d);
    int n = info->n_vocab;
    r->n_logits = N * n;
    err e = {0};
    MUST(pass_read(p, NULL, 0, &e), &e);
    r->logits = mem_new((size_t)r->n_logits, sizeof *r->logits);
    assert_non_null(r->logits);
    for (int i = 0; i < N; i++) {
        const float *z = pass_logits(p, i);
        CHECK(isinf(z[info->mask_id]) && z[info->mask_id] < 0);
        for (int v = 0; v < n; v++) r->logits[i * n + v] = v == info->mask_id ? 0 : (double)z[v];
    }
}

static result run(denoiser *d) {
    const denoiser_info *info = denoiser_get_info(d);
    int32_t ids[N];
    row_ref rows[N];
    float weights[N] = {0};
    err e = {0};
    for (int i = 0; i < N; i++) {
        rows[i] = (row_ref){0, i};
        ids[i] = tokens[i] == MASK ? info->mask_id : tokens[i];
    }
    for (int i = 0; i < MASKS; i++) weights[masks[i]] = 1;
    sequence s = {ids, N};
    pass *p = pass_new();
    result r = {.width = MASKS * info->d_model};
    MUST(denoiser_forward(d, &(forward_req){.seqs = &s, .n_seqs = 1, .rows = rows, .n_rows = N, .keep = true},
                          p, &e),
         &e);
    read_logits(d, p, &r);
    float *x = mem_new((size_t)r.width, sizeof *x);
    assert_non_null(x);
    backward_req b = {.n_seeds = 1, .weights = weights, .wrt = masks, .n_wrt = MASKS};
    MUST(denoiser_backward(d, p, &b, x, NULL, &e), &e);
    r.grad = to_double(x, (size_t)r.width);
    MUST(denoiser_soft_write(d, p, masks, MASKS, x, &e), &e);
    r.soft = to_double(x, (size_t)r.width);
    free(x);
    pass_free(p);
    return r;
}

/* On the device that the test is for. */
static denoiser *open_path(const char *path, const denoiser_opts *o, int line) {
    err e = {0};
    denoiser *d = NULL;
    denoiser_opts here = o ? *o : (denoiser_opts){0};
    here.device = test_device()->device, here.precision = test_device()->precision;
    int rc = denoiser_load(&d, path, &here, &e);
    check_at(rc == 0 && d, __FILE__, line, rc ? e.msg : "opens");
    assert_non_null(d);
    return d;
}
#define OPEN(file, o) open_path(in_dir(file), o, __LINE__)

static result run_path(const char *path, const denoiser_opts *o, int line) {
    denoiser *d = open_path(path, o, line);
    result r = run(d);
    denoiser_close(d);
    return r;
}
#define RUN(file, o) run_path(in_dir(file), o, __LINE__)

static bool finite_all(const double *x, int n) {
    for (int i = 0; i < n; i++) {
        if (!isfinite(x[i])) return false;
    }
    return true;
}

static void same_at(const result *got, const result *want, double tol, const char *what, int line) {
    check_at(got->n_logits == want->n_logits && got->width == want->width, __FILE__, line, what);
    close_at(got->logits, want->logits, want->n_logits, tol, 1e-6, what, __FILE__, line);
    close_at(got->soft, want->soft, want->width, tol, 1e-6, what, __FILE__, line);
    close_at(got->grad, want->grad, want->width, 10 * tol, 1e-6, what, __FILE__, line);
    check_at(finite_all(got->grad, got->width), __FILE__, line, what);
}
#define SAME(got, want, tol, what) same_at(got, want, tol, what, __LINE__)

/* Of the largest logit of `want`. */
static double distance(const result *got, const result *want) {
    double top = 0, off = 0;
    for (int i = 0; i < want->n_logits; i++) {
        top = fmax(top, fabs(want->logits[i]));
        off = fmax(off, fabs(got->logits[i] - want->logits[i]));
    }
    return off / top;
}

/* ---- the same numbers in another file ---- */

static const recipe converted[] = {{.from = "llada-gqa", .arch = "llada", .pairs = true},
                                   {.from = "llada-gqa", .arch = "llama", .pairs = true},
                                   {.from = "dream", .arch = "dream"},
                                   {.from = "qwen3", .arch = "qwen3"}};
enum { N_CONVERTED = sizeof converted / sizeof *converted };

static result run_directory(const recipe *r) {
    char path[100];
    snprintf(path, sizeof path, "tests/vectors/%s", r->from);
    return run_path(path, NULL, __LINE__);
}

static void check_info(const denoiser *d, const recipe *r) {
    char path[100];
    snprintf(path, sizeof path, "tests/vectors/%s", r->from);
    denoiser *other = open_path(path, NULL, __LINE__);
    const denoiser_info *got = denoiser_get_info(d), *want = denoiser_get_info(other);
    CHECK(strcmp(got->arch, r->arch) == 0 && strcmp(got->name, "model.gguf") == 0);
    CHECK(got->n_vocab == want->n_vocab && got->d_model == want->d_model && got->n_layers == want->n_layers);
    CHECK(got->n_heads == want->n_heads && got->n_kv_heads == want->n_kv_heads);
    CHECK(got->mlp_size == want->mlp_size && got->max_len == want->max_len);
    CHECK(got->mask_id == want->mask_id && got->eos_id == want->eos_id && got->pad_id == want->pad_id);
    CHECK(got->bos_id == want->bos_id && got->shifted == want->shifted);
    CHECK(got->n_params == want->n_params && got->weight_bytes == want->weight_bytes);
    CHECK(strcmp(got->dtype, "F32") == 0 && strlen(got->fingerprint) == 32);
    denoiser_close(other);
}

static void test_converted(void **state) {
    (void)state;
    for (int i = 0; i < N_CONVERTED; i++) {
        write_recipe(&converted[i], "model.gguf");
        denoiser *d = OPEN("model.gguf", NULL);
        check_info(d, &converted[i]);
        result got = run(d), want = run_directory(&converted[i]);
        SAME(&got, &want, 1e-5, converted[i].arch);
        denoiser_close(d);
        free_result(&got);
        free_result(&want);
    }
}

/* Without the converter's order of rows the same tensors are another model: the test would notice. */
static void test_pairs_matter(void **state) {
    (void)state;
    recipe plain = converted[0];
    plain.pairs = false;
    write_recipe(&plain, "model.gguf");
    result got = RUN("model.gguf", NULL), want = run_directory(&plain);
    CHECK(distance(&got, &want) > 0.01);
    free_result(&got);
    free_result(&want);
}

/* The embedding again, as the head. */
static void add_head(gguf_writer *w) {
    safetensors *s;
    err e = {0};
    MUST(safetensors_open(&s, "tests/vectors/llada-gqa/model.safetensors", &e), &e);
    const tensor *t = safetensors_find(s, "model.transformer.wte.weight");
    assert_non_null(t);
    gw_tensor(w, "output.weight", GW_F32, 2, t->shape, t->data, t->bytes);
    safetensors_close(s);
}

/* A file without a head has the embedding for one. */
static void test_tied(void **state) {
    (void)state;
    recipe tied = converted[0];
    tied.without = WITHOUT_HEAD;
    write_recipe(&tied, "model.gguf");
    result got = RUN("model.gguf", NULL), untied = run_directory(&tied);
    tied.more = add_head;
    write_recipe(&tied, "model.gguf");
    result want = RUN("model.gguf", NULL);
    SAME(&got, &want, 1e-6, "a tied head");
    CHECK(distance(&got, &untied) > 0.01);
    free_result(&got);
    free_result(&want);
    free_result(&untied);
}

/* Each type: what it stores is what it computes with, and that is near the original. The bounds on the
 * distance are twice and more what was seen. */
static void test_types(void **state) {
    (void)state;
    static const struct {
        int type;
        double tol, most;
    } types[] = {{GW_F16, 1e-5, 0.003}, {GW_BF16, 1e-5, 0.04}, {GW_Q8_0, 1e-4, 0.12}, {GW_Q5_0, 1e-4, 0.8},
                 {GW_Q5_1, 1e-4, 0.8},  {GW_Q4_0, 1e-4, 1.1},  {GW_Q4_1, 1e-4, 1.1}};
    for (int i = 0; i < N_CONVERTED; i++) {
        result exact = run_directory(&converted[i]);
        for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
            recipe r = converted[i];
            r.type = types[k].type;
            write_recipe(&r, "model.gguf");
            denoiser *d = OPEN("model.gguf", NULL);
            const char *name = k_block_of(dtype_of(r.type)).name;
            CHECK(strcmp(denoiser_get_info(d)->dtype, name) == 0);
            result got = run(d);
            denoiser_close(d);
            r.rounded = true;
            write_recipe(&r, "model.gguf");
            result want = RUN("model.gguf", NULL);
            SAME(&got, &want, types[k].tol, name);
            double off = distance(&got, &exact);
            if (!(off > 0 && off < types[k].most)) print_error("%s in %s: %.3g\n", name, r.from, off);
            CHECK(off > 0 && off < types[k].most);
            free_result(&got);
            free_result(&want);
        }
        free_result(&exact);
    }
}

/* ---- a random model in blocks of 256 ---- */

enum { WIDE = 256, WIDE_MLP = 512, WIDE_V = 80, LAYERS = 2, N_BUILT = 3 + 9 * LAYERS };

typedef struct built {
    char name[40];
    int type, n_dims;
    int64_t shape[2];
    strbuf bytes; /* as stored */
    float *plain; /* what they stand for */
} built;

static uint64_t draws;

static double uniform(void) {
    return rng_uniform(5, draws++, 0, 0, RNG_TOKEN);
}

static double normal(void) {
    return sqrt(-2 * log(uniform())) * cos(6.283185307179586 * uniform());
}

/* Any bytes are a block; what matters is the size of its scales, chosen so that weights are about 0.06. */
static void random_blocks(strbuf *out, int type, size_t n) {
    static const struct {
        int type, scale, minimum;
        double size, shift;
    } how[] = {{GW_Q2_K, 80, 82, 0.005, 1.5},
               {GW_Q3_K, 108, -1, 0.0014, 0},
               {GW_Q4_K, 0, 2, 0.0003, 7.5},
               {GW_Q5_K, 0, 2, 0.00015, 15.5},
               {GW_Q6_K, 208, -1, 0.000044, 0}};
    int k = 0;
    while (how[k].type != type) k++;
    k_block_type b = k_block_of(dtype_of(type));
    strbuf_init(out, 1 << 26);
    for (size_t i = 0; i < n; i += (size_t)b.elements) {
        unsigned char *at = (unsigned char *)out->data + out->len;
        size_t begin = out->len;
        for (int j = 0; j < b.bytes; j++) strbuf_putc(out, (char)(unsigned char)(256 * uniform()));
        at = (unsigned char *)out->data + begin;
        double size = how[k].size * (0.5 + uniform()) * (uniform() < 0.5 ? -1 : 1);
        uint16_t d = to_half(size), m = to_half(size * how[k].shift);
        memcpy(at + how[k].scale, &d, 2);
        if (how[k].minimum >= 0) memcpy(at + how[k].minimum, &m, 2);
    }
}

static void build(built *b, const char *name, int type, int rows, int cols) {
    *b = (built){.type = type, .n_dims = cols ? 2 : 1, .shape = {rows, cols}};
    snprintf(b->name, sizeof b->name, "%s", name);
    int width = cols ? cols : 1;
    size_t n = (size_t)rows * (size_t)width;
    if (k_block_of(dtype_of(type)).elements == 256) {
        random_blocks(&b->bytes, type, n);
    } else {
        float *x = mem_new(n, sizeof *x);
        assert_non_null(x);
        for (size_t i = 0; i < n; i++) x[i] = (float)(cols ? 0.06 * normal() : 1 + 0.1 * normal());
        encode(&b->bytes, type, x, n);
        free(x);
    }
    b->plain = decode(type, b->bytes.data, rows, width);
}

/* Types are mixed within a layer, and within the rows of one product. */
static void build_model(built *b) {
    static const struct {
        const char *name;
        int rows, cols, types[LAYERS];
    } parts[] = {
        {"attn_norm", WIDE, 0, {GW_F32, GW_F32}},        {"ffn_norm", WIDE, 0, {GW_F32, GW_F32}},
        {"attn_q", WIDE, WIDE, {GW_Q4_K, GW_F16}},       {"attn_k", WIDE / 2, WIDE, {GW_Q5_K, GW_Q8_0}},
        {"attn_v", WIDE / 2, WIDE, {GW_Q6_K, GW_Q4_0}},  {"attn_output", WIDE, WIDE, {GW_Q3_K, GW_BF16}},
        {"ffn_gate", WIDE_MLP, WIDE, {GW_Q2_K, GW_F32}}, {"ffn_up", WIDE_MLP, WIDE, {GW_Q4_K, GW_Q3_K}},
        {"ffn_down", WIDE, WIDE_MLP, {GW_Q5_K, GW_Q6_K}}};
    char name[40];
    int n = 0;
    build(&b[n++], "token_embd.weight", GW_Q4_K, WIDE_V, WIDE);
    build(&b[n++], "output_norm.weight", GW_F32, WIDE, 0);
    build(&b[n++], "output.weight", GW_Q6_K, WIDE_V, WIDE);
    for (int l = 0; l < LAYERS; l++) {
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
            snprintf(name, sizeof name, "blk.%d.%s.weight", l, parts[i].name);
            build(&b[n++], name, parts[i].types[l], parts[i].rows, parts[i].cols);
        }
    }
    assert_int_equal(n, N_BUILT);
}

static void free_built(built *b) {
    for (int i = 0; i < N_BUILT; i++) {
        strbuf_release(&b[i].bytes);
        free(b[i].plain);
    }
}

static void wide_values(gguf_writer *w) {
    gw_text(w, "general.architecture", "llada");
    gw_whole(w, "llada.block_count", GW_U32, LAYERS);
    gw_whole(w, "llada.context_length", GW_U32, CONTEXT);
    gw_whole(w, "llada.embedding_length", GW_U32, WIDE);
    gw_whole(w, "llada.feed_forward_length", GW_U32, WIDE_MLP);
    gw_whole(w, "llada.attention.head_count", GW_U32, HEADS);
    gw_whole(w, "llada.attention.head_count_kv", GW_U32, KV_HEADS);
    gw_real(w, "llada.rope.freq_base", GW_REAL32, 10000);
    gw_real(w, "llada.attention.layer_norm_rms_epsilon", GW_REAL32, 1e-5);
    gw_whole(w, "diffusion.shift_logits", GW_BOOL, 0);
    gw_whole(w, "tokenizer.ggml.mask_token_id", GW_U32, MASK);
}

/* Part `part` of `parts`, every parts-th tensor; values are in the first. */
static void write_built(const built *b, bool plain, int part, int parts, const char *file) {
    gguf_writer w;
    gw_init(&w);
    if (part == 0) wide_values(&w);
    if (parts > 1) {
        gw_whole(&w, "split.no", GW_U16, part);
        gw_whole(&w, "split.count", GW_U16, parts);
        gw_whole(&w, "split.tensors.count", GW_I32, N_BUILT);
    }
    for (int i = part; i < N_BUILT; i += parts) {
        size_t n = (size_t)b[i].shape[0] * (size_t)(b[i].n_dims == 2 ? b[i].shape[1] : 1);
        if (plain)
            gw_tensor(&w, b[i].name, GW_F32, b[i].n_dims, b[i].shape, b[i].plain, n * sizeof(float));
        else
            gw_tensor(&w, b[i].name, b[i].type, b[i].n_dims, b[i].shape, b[i].bytes.data, b[i].bytes.len);
    }
    gw_save(&w, in_dir(file));
    gw_release(&w);
}

static void test_blocks(void **state) {
    (void)state;
    built b[N_BUILT];
    build_model(b);
    write_built(b, true, 0, 1, "model.gguf");
    result want = RUN("model.gguf", NULL);
    CHECK(finite_all(want.logits, want.n_logits));
    write_built(b, false, 0, 1, "model.gguf");
    denoiser *d = OPEN("model.gguf", NULL);
    size_t bytes = 0;
    for (int i = 0; i < N_BUILT; i++) bytes += b[i].bytes.len;
    CHECK(denoiser_get_info(d)->weight_bytes == bytes && denoiser_get_info(d)->n_vocab == WIDE_V);
    CHECK(strcmp(denoiser_get_info(d)->dtype, "F32") == 0); /* one large gate */
    result got = run(d);
    SAME(&got, &want, 1e-4, "blocks");
    denoiser_close(d);
    const char *const files[] = {"set-00001-of-00003.gguf", "set-00002-of-00003.gguf",
                                 "set-00003-of-00003.gguf"};
    for (int i = 0; i < 3; i++) write_built(b, false, i, 3, files[i]);
    for (int i = 0; i < 3; i++) {
        result part = RUN(files[i], NULL);
        SAME(&part, &got, 0, "a set");
        free_result(&part);
    }
    for (int i = 0; i < 3; i++) unlink(in_dir(files[i]));
    free_result(&got);
    free_result(&want);
    free_built(b);
}

/* ---- what a person says ---- */

static void refused(const char *path, const denoiser_opts *o, int code, const char *msg, int line) {
    char named[160];
    err e = {0};
    denoiser *d = (denoiser *)&e;
    snprintf(named, sizeof named, "%s", path);
    int rc = denoiser_load(&d, named, o, &e);
    n_checks++;
    bool fine = strncmp(e.msg, named, strlen(named)) == 0;
    if (rc == code && e.code == code && !d && fine && strstr(e.msg, msg)) return;
    n_failed++;
    print_error("test_layouts.c:%d: code %d \"%s\", expected %d \"%s\"\n", line, rc, e.msg, code, msg);
    if (!rc) denoiser_close(d);
}
#define REFUSED(o, code, msg) refused(in_dir("model.gguf"), o, code, msg, __LINE__)

static int mask_of(const denoiser_opts *o, int line) {
    denoiser *d = open_path(in_dir("model.gguf"), o, line);
    int mask = denoiser_get_info(d)->mask_id;
    denoiser_close(d);
    return mask;
}

static void test_mask(void **state) {
    (void)state;
    recipe r = converted[2];
    write_recipe(&r, "model.gguf");
    const denoiser_opts said = {.has_mask = true, .mask_id = 12},
                        hint = {.has_mask_hint = true, .mask_hint = 13};
    denoiser_opts both = said, beyond = {.has_mask = true, .mask_id = V},
                  below = {.has_mask = true, .mask_id = -1};
    both.has_mask_hint = true, both.mask_hint = 13;
    CHECK(mask_of(NULL, __LINE__) == MASK && mask_of(&said, __LINE__) == 12);
    CHECK(mask_of(&hint, __LINE__) == MASK && mask_of(&both, __LINE__) == 12);
    REFUSED(&beyond, ERR_BAD_ARGUMENT, "the mask id 48 is not from 0 to 47");
    REFUSED(&below, ERR_BAD_ARGUMENT, "the mask id -1 is not from 0 to 47");
    r.without = WITHOUT_MASK;
    write_recipe(&r, "model.gguf");
    REFUSED(NULL, ERR_BAD_FORMAT, "tokenizer.ggml.mask_token_id: missing");
    REFUSED(NULL, ERR_BAD_FORMAT, "--mask-id");
    CHECK(mask_of(&said, __LINE__) == 12 && mask_of(&hint, __LINE__) == 13 && mask_of(&both, __LINE__) == 12);
    denoiser_opts bad_hint = {.has_mask_hint = true, .mask_hint = 1000};
    REFUSED(&bad_hint, ERR_BAD_ARGUMENT, "the mask id 1000 is not from 0 to 47");
    /* said to be what it was, it changes nothing */
    denoiser_opts same = {.has_mask = true, .mask_id = MASK};
    result got = RUN("model.gguf", &same), want = run_directory(&r);
    SAME(&got, &want, 1e-5, "a mask that was said");
    free_result(&got);
    free_result(&want);
}

static void say_shifted(gguf_writer *w) {
    gw_whole(w, "diffusion.shift_logits", GW_BOOL, 1);
}

static bool is_shifted(const denoiser_opts *o, int line) {
    denoiser *d = open_path(in_dir("model.gguf"), o, line);
    bool shifted = denoiser_get_info(d)->shifted;
    CHECK(denoiser_emit(d, 5) == (shifted ? 4 : 5) && denoiser_emit(d, 0) == 0);
    denoiser_close(d);
    return shifted;
}

static void test_shift(void **state) {
    (void)state;
    const denoiser_opts yes = {.shift = 1}, no = {.shift = -1};
    for (int i = 0; i < N_CONVERTED; i++) {
        recipe r = converted[i];
        bool ask = strcmp(r.arch, "qwen3") == 0 || strcmp(r.arch, "llama") == 0;
        r.without = WITHOUT_SHIFT;
        write_recipe(&r, "model.gguf");
        CHECK(is_shifted(&yes, __LINE__) && !is_shifted(&no, __LINE__));
        if (ask) REFUSED(NULL, ERR_BAD_ARGUMENT, "--no-shift");
        if (!ask) CHECK(is_shifted(NULL, __LINE__) == (strcmp(r.arch, "dream") == 0));
        if (ask) {
            result got = RUN("model.gguf", &no), want = run_directory(&r);
            SAME(&got, &want, 1e-5, "no shift");
            free_result(&got);
            free_result(&want);
        }
        r.more = say_shifted;
        write_recipe(&r, "model.gguf");
        CHECK(is_shifted(NULL, __LINE__) && is_shifted(&yes, __LINE__) && !is_shifted(&no, __LINE__));
    }
    recipe qwen2 = converted[2];
    qwen2.arch = "qwen2";
    write_recipe(&qwen2, "model.gguf");
    CHECK(is_shifted(NULL, __LINE__) && !is_shifted(&no, __LINE__));
    result got = RUN("model.gguf", NULL), want = run_directory(&qwen2);
    SAME(&got, &want, 1e-5, "qwen2");
    free_result(&got);
    free_result(&want);
}

/* Logits of tokens are those of the whole head; ids from n_tokens on are never predicted. */
static void check_tokens(const denoiser_opts *o, int n_vocab, const result *whole) {
    denoiser *d = OPEN("model.gguf", o);
    const denoiser_info *info = denoiser_get_info(d);
    sequence s = {tokens, N};
    row_ref rows[N];
    err e = {0};
    pass *p = pass_new();
    for (int i = 0; i < N; i++) rows[i] = (row_ref){0, i};
    CHECK(info->n_vocab == n_vocab && info->mask_id == MASK % n_vocab);
    MUST(denoiser_forward(d, &(forward_req){.seqs = &s, .n_seqs = 1, .rows = rows, .n_rows = N}, p, &e), &e);
    MUST(pass_read(p, NULL, 0, &e), &e);
    for (int i = 0; i < N; i++) {
        int32_t top[K_TOP];
        double probs[K_TOP], sum = 0;
        const float *z = pass_logits(p, i);
        CHECK(pass_stats(p, i)->argmax < o->n_tokens);
        int n = pass_top(p, i, K_TOP, top, probs);
        for (int k = 0; k < n; k++) CHECK(top[k] < o->n_tokens && top[k] != info->mask_id);
        for (int v = 0; v < n_vocab; v++) {
            bool token = v < o->n_tokens && v != info->mask_id;
            CHECK(token ? near((double)z[v], whole->logits[i * V + v], 1e-4) : isinf(z[v]) && z[v] < 0);
            if (token) sum += exp((double)z[v] - pass_stats(p, i)->lse);
        }
        CHECK(near(sum, 1, 1e-5));
    }
    pass_free(p);
    result r = run(d);
    CHECK(finite_all(r.grad, r.width) && finite_all(r.soft, r.width));
    free_result(&r);
    denoiser_close(d);
}

static void test_tokens(void **state) {
    (void)state;
    for (int i = 0; i < N_CONVERTED; i++) {
        for (int type = GW_F32; type <= GW_Q8_0; type += GW_Q8_0) {
            recipe r = converted[i];
            r.type = type;
            write_recipe(&r, "model.gguf");
            result whole = RUN("model.gguf", NULL);
            check_tokens(&(denoiser_opts){.n_tokens = 41}, V, &whole); /* the mask lies beyond */
            check_tokens(&(denoiser_opts){.n_tokens = 47}, V, &whole);
            check_tokens(&(denoiser_opts){.n_tokens = 1000}, V, &whole);
            free_result(&whole);
        }
    }
    const denoiser_opts cut = {.n_tokens = 41, .has_mask = true, .mask_id = 5}; /* the mask is one of them */
    denoiser *d = OPEN("model.gguf", &cut);
    CHECK(denoiser_get_info(d)->n_vocab == 41 && denoiser_get_info(d)->mask_id == 5);
    denoiser_close(d);
}

/* ---- what is refused ---- */

static void test_architectures(void **state) {
    (void)state;
    const struct {
        const char *arch, *msg;
    } cases[] = {{"llada-moe", "general.architecture: \"llada-moe\" is not supported: mixtures of experts"},
                 {"rnd1", "general.architecture: \"rnd1\" is not supported: mixtures of experts"},
                 {"bert", "general.architecture: \"bert\" is not supported: expected llada"},
                 {"Dream", "general.architecture: \"Dream\" is not supported: expected llada"},
                 {"", "general.architecture: \"\" is not supported: expected llada"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        recipe r = converted[0];
        r.arch = cases[i].arch;
        write_recipe(&r, "model.gguf");
        REFUSED(NULL, ERR_UNSUPPORTED, cases[i].msg);
    }
}

static void more_experts(gguf_writer *w) {
    gw_whole(w, "llada.expert_count", GW_U32, 8);
}

static void more_scaling(gguf_writer *w) {
    gw_text(w, "llada.rope.scaling.type", "yarn");
}

static void more_heads(gguf_writer *w) {
    gw_whole(w, "llada.attention.key_length", GW_U32, 32);
}

static void more_norms(gguf_writer *w) {
    static const float ones[16] = {1};
    gw_tensor(w, "blk.0.attn_q_norm.weight", GW_F32, 1, (const int64_t[]){16}, ones, sizeof ones);
}

static void more_factors(gguf_writer *w) {
    static const float ones[8] = {1};
    gw_tensor(w, "rope_freqs.weight", GW_F32, 1, (const int64_t[]){8}, ones, sizeof ones);
}

static void more_bias(gguf_writer *w) {
    static const float zeros[64];
    gw_tensor(w, "blk.2.attn_output.bias", GW_F32, 1, (const int64_t[]){64}, zeros, sizeof zeros);
}

static void more_biases(gguf_writer *w) {
    static const float zeros[64];
    gw_tensor(w, "blk.0.attn_q.bias", GW_F32, 1, (const int64_t[]){64}, zeros, sizeof zeros);
}

static void test_variants(void **state) {
    (void)state;
    const struct {
        void (*more)(gguf_writer *);
        int code;
        const char *msg;
    } cases[] = {
        {more_experts, ERR_UNSUPPORTED, "llada.expert_count: 8, expected 0"},
        {more_scaling, ERR_UNSUPPORTED, "llada.rope.scaling.type: \"yarn\", expected \"none\""},
        {more_heads, ERR_UNSUPPORTED, "llada.rope.dimension_count: 16, expected the heads' size 32"},
        {more_norms, ERR_UNSUPPORTED,
         "tensor blk.0.attn_q_norm.weight: not part of a llada model as its metadata"},
        {more_factors, ERR_UNSUPPORTED, "tensor rope_freqs.weight: not part of a llada model"},
        {more_bias, ERR_UNSUPPORTED, "tensor blk.2.attn_output.bias: not part of a llada model"},
        {more_biases, ERR_BAD_FORMAT, "tensor blk.0.attn_k.bias: missing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        recipe r = converted[0];
        r.more = cases[i].more;
        write_recipe(&r, "model.gguf");
        REFUSED(NULL, cases[i].code, cases[i].msg);
    }
    recipe half = converted[3]; /* head norms that a dream model has no place for */
    half.arch = "dream";
    write_recipe(&half, "model.gguf");
    REFUSED(NULL, ERR_UNSUPPORTED, "attn_k_norm.weight: not part of a dream model");
    half = converted[0]; /* and a qwen3 file without them */
    half.arch = "qwen3";
    write_recipe(&half, "model.gguf");
    REFUSED(NULL, ERR_BAD_FORMAT, "tensor blk.0.attn_q_norm.weight: missing");
}

/* Values that are missing, of another type, or not what the tensors say. */
static void test_values(void **state) {
    (void)state;
    const struct {
        const char *key, *msg; /* a key of the file is misspelt */
    } missing[] = {
        {"general.architecture", "general.architecture: missing, expected a string"},
        {"llada.block_count", "llada.block_count: missing, expected a whole number from 1"},
        {"llada.context_length", "llada.context_length: missing"},
        {"llada.embedding_length", "llada.embedding_length: missing"},
        {"llada.feed_forward_length", "llada.feed_forward_length: missing"},
        {"llada.attention.head_count", "llada.attention.head_count: missing"},
        {"llada.rope.freq_base", "llada.rope.freq_base: missing, expected a number"},
        {"llada.attention.layer_norm_rms_epsilon", "llada.attention.layer_norm_rms_epsilon: missing"},
        {"token_embd.weight", "tensor token_embd.weight: missing"},
        {"output_norm.weight", "tensor output_norm.weight: missing"},
        {"blk.1.ffn_up.weight", "tensor blk.1.ffn_up.weight: missing"},
    };
    for (size_t i = 0; i < sizeof missing / sizeof *missing; i++) {
        strbuf file;
        err e = {0};
        write_recipe(&converted[0], "model.gguf");
        MUST(strbuf_read_file(&file, in_dir("model.gguf"), 1 << 24, &e), &e);
        char *at = memmem(file.data, file.len, missing[i].key, strlen(missing[i].key));
        assert_non_null(at);
        at[0] = 'X';
        gw_save_bytes(in_dir("model.gguf"), file.data, file.len);
        REFUSED(NULL, ERR_BAD_FORMAT, missing[i].msg);
        strbuf_release(&file);
    }
}

static void test_containers(void **state) {
    (void)state;
    gw_save_bytes(in_dir("model.gguf"), "GGML....", 8);
    REFUSED(NULL, ERR_BAD_FORMAT,
            "not a checkpoint directory (expected config.json and model.safetensors) nor a");
    gw_save_bytes(in_dir("model.gguf"), "GGUF", 4);
    REFUSED(NULL, ERR_BAD_FORMAT, "ends inside the header");
    unlink(in_dir("model.gguf"));
    REFUSED(NULL, ERR_NOT_FOUND, "No such file");
}

static int set_up(void **state) {
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/tabes-layouts-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    unlink(in_dir("model.gguf"));
    return rmdir(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_converted),     cmocka_unit_test(test_pairs_matter),
        cmocka_unit_test(test_tied),          cmocka_unit_test(test_types),
        cmocka_unit_test(test_blocks),        cmocka_unit_test(test_mask),
        cmocka_unit_test(test_shift),         cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_architectures), cmocka_unit_test(test_variants),
        cmocka_unit_test(test_values),        cmocka_unit_test(test_containers),
    };
    return finish("layouts", cmocka_run_group_tests(tests, set_up, tear_down));
}
