/* test_attention.c - attention of one row: against float64 rows made from the stored weights alone
 * (tests/vectors/attention.py), against the output of the forward pass's own attention, and refusals.
 *
 * Bounds: 1e-4 for probabilities, as they are; Σ p·v within 1e-4 of the largest of a row, since the forward's
 * softmax is in float32. Runs on the device that TABES_DEVICE names, in float32. */
#include "checks.h"
#include "device.h"
#include "fake_denoiser.h"

#include <cjson/cJSON.h>

#include "engine/base/strbuf.h"
#include "engine/synthetic.h"
#include "engine/transformer/transformer.h"

enum { MAX = 512, HEADS = 8 };

static float got[HEADS * MAX];

static denoiser *open_vectors(const char *name) {
    char path[80];
    denoiser *d;
    err e = {0};
    snprintf(path, sizeof path, "tests/vectors/%s", name);
    MUST(denoiser_load(&d, path, test_device(), &e), &e);
    return d;
}

/* A kept pass of sequences that ask for their last position's logits only: attention asks for more. */
static void keep(denoiser *d, const sequence *s, int n_seqs, pass *p) {
    row_ref last = {n_seqs - 1, s[n_seqs - 1].n - 1};
    err e = {0};
    forward_req q = {.seqs = s, .n_seqs = n_seqs, .rows = &last, .n_rows = 1, .keep = true};
    MUST(denoiser_forward(d, &q, p, &e), &e);
}

static sequence some_tokens(const denoiser *d, int32_t *tokens, int n, int salt) {
    const denoiser_info *info = denoiser_get_info(d);
    for (int i = 0; i < n; i++) tokens[i] = i % 3 == 0 ? info->mask_id : (i * 7 + salt) % (info->n_vocab - 1);
    return (sequence){tokens, n};
}

/* ---- float64 rows ---- */

static cJSON *read_json(const char *name, const char *file) {
    char path[80];
    strbuf text;
    err e = {0};
    snprintf(path, sizeof path, "tests/vectors/%s/%s", name, file);
    MUST(strbuf_read_file(&text, path, 1 << 24, &e), &e);
    cJSON *root = cJSON_Parse(text.data);
    assert_non_null(root);
    strbuf_release(&text);
    return root;
}

static int number(const cJSON *o, const char *key) {
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(o, key);
    assert_true(cJSON_IsNumber(n));
    return n->valueint;
}

/* Returns the largest distance. */
static double check_row(denoiser *d, const pass *p, const cJSON *row, int n) {
    const cJSON *want = cJSON_GetObjectItemCaseSensitive(row, "attention"), *head, *x;
    double worst = 0;
    int h = 0;
    err e = {0};
    MUST(denoiser_attention(d, p, 0, number(row, "pos"), number(row, "layer"), got, &e), &e);
    cJSON_ArrayForEach(head, want) {
        double sum = 0;
        int j = 0;
        cJSON_ArrayForEach(x, head) {
            double value = (double)got[h * n + j++], off = fabs(value - x->valuedouble);
            sum += value;
            if (!(off <= worst)) worst = off;
        }
        CHECK(j == n && fabs(sum - 1) < 1e-6);
        h++;
    }
    CHECK(h == denoiser_get_info(d)->n_heads);
    CHECK(worst <= 1e-4);
    return worst;
}

static void test_vectors(void **state) {
    denoiser *d = open_vectors(*state);
    cJSON *saved = read_json(*state, "cases.json"), *rows = read_json(*state, "attention.json");
    const cJSON *cases = cJSON_GetObjectItemCaseSensitive(saved, "cases"), *row;
    pass *p = pass_new();
    double worst = 0;
    int kept = -1, n = 0, n_rows = 0;
    cJSON_ArrayForEach(row, rows) {
        if (number(row, "case") != kept) {
            const cJSON *tokens, *t;
            int32_t ids[MAX];
            kept = number(row, "case");
            n = 0;
            tokens = cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(cases, kept), "tokens");
            cJSON_ArrayForEach(t, tokens) ids[n++] = t->valueint;
            keep(d, &(sequence){ids, n}, 1, p);
        }
        worst = fmax(worst, check_row(d, p, row, n));
        n_rows++;
    }
    CHECK(n_rows == 36);
    printf("attention of %s: off by %.1e at most\n", (const char *)*state, worst);
    pass_free(p);
    cJSON_Delete(saved);
    cJSON_Delete(rows);
    denoiser_close(d);
}

/* ---- the forward's own output ---- */

/* One layer of a kept pass on the host. */
typedef struct layer_copy {
    float *qkv, *o;
    int n;
} layer_copy;

static layer_copy copy_layer(const denoiser *d, const pass *p, int l) {
    const transformer *t = (const transformer *)d;
    const tf_saved *s = p->saved;
    kernels *k = d->k;
    size_t n = (size_t)s->n_rows, wide = n * (size_t)tf_qkv_width(t), narrow = n * (size_t)tf_q_width(t);
    layer_copy c = {mem_new(wide, sizeof(float)), mem_new(narrow, sizeof(float)), s->n_rows};
    err e = {0};
    assert_true(k->act_bytes == sizeof(float));
    k->get(k, c.qkv, s->layers[l].qkv, wide * sizeof(float));
    k->get(k, c.o, s->layers[l].o, narrow * sizeof(float));
    MUST(device_check(k, &e), &e);
    return c;
}

/* Σ_j p_j v_j of the row that predicts pos is what the forward's attention wrote there. */
static void check_output(denoiser *d, const pass *p, const layer_copy *c, int seq, int pos, int l) {
    const transformer *t = (const transformer *)d;
    const tf_saved *s = p->saved;
    int first = s->first[seq], n = s->first[seq + 1] - first, hd = t->hd, width = tf_qkv_width(t);
    double sums[HEADS * 128], want[HEADS * 128];
    err e = {0};
    MUST(denoiser_attention(d, p, seq, pos, l, got, &e), &e);
    for (int i = 0; i < t->H * hd; i++) {
        int h = i / hd, v = tf_q_width(t) + tf_kv_width(t) + h / (t->H / t->KV) * hd + i % hd;
        sums[i] = 0;
        for (int j = 0; j < n; j++)
            sums[i] += (double)got[h * n + j] * (double)c->qkv[(first + j) * width + v];
        want[i] = (double)c->o[(first + denoiser_emit(d, pos)) * t->H * hd + i];
    }
    CLOSE(sums, want, t->H * hd, 1e-4, "attention output");
}

static void check_outputs(denoiser *d, const pass *p, int step) {
    const tf_saved *s = p->saved;
    for (int l = 0; l < denoiser_get_info(d)->n_layers; l++) {
        layer_copy c = copy_layer(d, p, l);
        for (int seq = 0; seq < s->n_seqs; seq++) {
            for (int pos = 0; pos < p->lengths[seq]; pos += step) check_output(d, p, &c, seq, pos, l);
        }
        free(c.qkv);
        free(c.o);
    }
}

/* Several sequences in one pass, which is then used again for fewer and longer ones. */
static void test_output(void **state) {
    denoiser *d = open_vectors(*state);
    int32_t tokens[3][MAX];
    sequence s[3] = {some_tokens(d, tokens[0], 9, 1), some_tokens(d, tokens[1], 1, 2),
                     some_tokens(d, tokens[2], 14, 3)};
    pass *p = pass_new();
    keep(d, s, 3, p);
    check_outputs(d, p, 1);
    s[0] = some_tokens(d, tokens[0], 17, 4);
    keep(d, s, 1, p);
    check_outputs(d, p, 5);
    pass_free(p);
    denoiser_close(d);
}

/* So many keys that they come in two pieces (341 rows of 768 each); bias, groups of heads, shifted. */
static void test_long(void **state) {
    (void)state;
    synthetic_shape shape = synthetic_named("tiny");
    shape.d = 512, shape.H = 8, shape.KV = 2, shape.f = 3, shape.L = 1, shape.V = 40, shape.max_len = MAX;
    shape.shifted = shape.bias = true;
    denoiser *d;
    int32_t tokens[MAX];
    err e = {0};
    MUST(denoiser_synthetic(&d, &shape, test_device(), &e), &e);
    assert_int_equal(tf_qkv_width((const transformer *)d), 768);
    sequence s = some_tokens(d, tokens, 400, 1);
    pass *p = pass_new();
    keep(d, &s, 1, p);
    check_outputs(d, p, 57);
    pass_free(p);
    denoiser_close(d);
}

/* ---- refusals, and the fake ---- */

static void refuses(denoiser *d, const pass *p, row_ref row, int layer, int code, const char *message) {
    err e = {0};
    int rc = denoiser_attention(d, p, row.seq, row.pos, layer, got, &e);
    CHECK(rc == code);
    if (!CHECK(strstr(e.msg, message) != NULL)) print_error("got: %s\n", e.msg);
}

static void test_refusals(void **state) {
    (void)state;
    denoiser *d = open_vectors("dream"), *other = open_vectors("dream");
    int32_t tokens[2][MAX];
    sequence s[2] = {some_tokens(d, tokens[0], 5, 1), some_tokens(d, tokens[1], 3, 2)};
    row_ref row = {1, 2};
    pass *p = pass_new();
    err e = {0};
    refuses(d, p, row, 0, ERR_BAD_ARGUMENT, "not kept by this denoiser");
    MUST(denoiser_forward(d, &(forward_req){.seqs = s, .n_seqs = 2, .rows = &row, .n_rows = 1}, p, &e), &e);
    refuses(d, p, row, 0, ERR_BAD_ARGUMENT, "not kept by this denoiser");
    keep(d, s, 2, p);
    refuses(other, p, row, 0, ERR_BAD_ARGUMENT, "not kept by this denoiser");
    refuses(d, p, row, 3, ERR_BAD_ARGUMENT, "layer 3 of a model of 3");
    refuses(d, p, row, -1, ERR_BAD_ARGUMENT, "layer -1 of a model of 3");
    refuses(d, p, (row_ref){2, 0}, 0, ERR_BAD_ARGUMENT, "sequence 2 of a pass of 2");
    refuses(d, p, (row_ref){-1, 0}, 0, ERR_BAD_ARGUMENT, "sequence -1 of a pass of 2");
    refuses(d, p, (row_ref){1, 3}, 0, ERR_BAD_ARGUMENT, "position 3 of a sequence of 3 tokens");
    refuses(d, p, (row_ref){0, -1}, 0, ERR_BAD_ARGUMENT, "position -1 of a sequence of 5 tokens");
    MUST(denoiser_attention(d, p, 1, 2, 2, got, &e), &e);
    keep(d, s, 1, p);
    refuses(d, p, row, 0, ERR_BAD_ARGUMENT, "sequence 1 of a pass of 1");
    pass_free(p);
    denoiser_close(other);
    denoiser_close(d);
}

/* Shifted: positions 0 and 1 read the same row. */
static void test_fake(void **state) {
    (void)state;
    fake *f = fake_new(true, 16);
    int32_t tokens[4] = {1, FAKE_MASK, 2, FAKE_MASK};
    pass *p = pass_new();
    err e = {0};
    keep(&f->base, &(sequence){tokens, 4}, 1, p);
    MUST(denoiser_attention(&f->base, p, 0, 1, 0, got, &e), &e);
    double want[4] = {12.0 / 25, 6.0 / 25, 4.0 / 25, 3.0 / 25};
    for (int j = 0; j < 4; j++) CHECK(near((double)got[j], want[j], 1e-6));
    denoiser_ops without = *f->base.ops;
    without.attention = NULL;
    f->base.ops = &without;
    refuses(&f->base, p, (row_ref){0, 1}, 0, ERR_UNSUPPORTED, "fake has no attention to show");
    pass_free(p);
    denoiser_close(&f->base);
}

/* 400 rows of width 512 are too much for an emulated device; what is long there is long here. */
int main(void) {
    static char llada[] = "llada", gqa[] = "llada-gqa", dream[] = "dream";
    const struct CMUnitTest tests[] = {
        {"vectors llada", test_vectors, NULL, NULL, llada},
        {"vectors llada-gqa", test_vectors, NULL, NULL, gqa},
        {"vectors dream", test_vectors, NULL, NULL, dream},
        {"output llada", test_output, NULL, NULL, llada},
        {"output llada-gqa", test_output, NULL, NULL, gqa},
        {"output dream", test_output, NULL, NULL, dream},
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_fake),
        cmocka_unit_test(test_long),
    };
    size_t n = sizeof tests / sizeof *tests - (getenv("TABES_DEVICE") ? 1 : 0);
    return finish("attention", _cmocka_run_group_tests("attention", tests, n, NULL, NULL));
}
