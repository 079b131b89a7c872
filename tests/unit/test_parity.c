/* test_parity.c - checkpoints as the transformers library saves them, against what its own classes compute
 * with the causal mask opened (tests/parity/transformers, written by make.py there): logits of every row, and
 * by autograd the gradient of the masks' entropies along every input embedding.
 *
 * Both sides are in float32. Bounds: a logit 1e-4 of the largest of its row, or 1e-4 if that is more; the sum
 * of entropies 1e-4; a gradient 1e-3 of the largest of its case. Against float64 the library itself is off by
 * 1e-6 and 4e-6 of the largest. */
#include "checks.h"
#include "device.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/base/strbuf.h"

enum { MAX = 64 };

#define FOLDER "tests/parity/transformers/"

static cJSON *read_expected(const char *name) {
    char path[120];
    strbuf text;
    err e = {0};
    snprintf(path, sizeof path, FOLDER "%s/expected.json", name);
    MUST(strbuf_read_file(&text, path, 1 << 24, &e), &e);
    cJSON *root = cJSON_Parse(text.data);
    assert_non_null(root);
    strbuf_release(&text);
    return root;
}

static const cJSON *field(const cJSON *o, const char *key) {
    const cJSON *f = cJSON_GetObjectItemCaseSensitive(o, key);
    assert_non_null(f);
    return f;
}

/* Appends the numbers of a list to out[n..most) and returns how many there are then. */
static int read_numbers(const cJSON *list, double *out, int n, int most) {
    const cJSON *x;
    cJSON_ArrayForEach(x, list) {
        assert_true(cJSON_IsNumber(x) && n < most);
        out[n++] = x->valuedouble;
    }
    return n;
}

/* The row that predicts `pos` against the library's network row; the mask's logit is ours alone. */
static double check_logits(const denoiser *d, const pass *p, int pos, const cJSON *rows) {
    const denoiser_info *info = denoiser_get_info(d);
    int n = info->n_vocab;
    const float *logits = pass_logits(p, pos);
    double *got = mem_new((size_t)n, sizeof *got), *want = mem_new((size_t)n, sizeof *want);
    const cJSON *row = cJSON_GetArrayItem(rows, denoiser_emit(d, pos));
    CHECK(read_numbers(row, want, 0, n) == n);
    for (int v = 0; v < n; v++) got[v] = (double)logits[v];
    CHECK(isinf(got[info->mask_id]) && got[info->mask_id] < 0);
    got[info->mask_id] = want[info->mask_id] = 0;
    double off = close_at(got, want, n, 1e-4, 1, "logits", __FILE__, __LINE__);
    free(got);
    free(want);
    return off;
}

static double check_gradient(denoiser *d, const pass *p, const int32_t *tokens, int n, const cJSON *rows) {
    const denoiser_info *info = denoiser_get_info(d);
    int all[MAX], size = n * info->d_model, n_want = 0;
    float weights[MAX];
    size_t count = (size_t)size;
    float *grads = mem_new(count, sizeof *grads);
    double *got = mem_new(count, sizeof *got), *want = mem_new(count, sizeof *want);
    const cJSON *row;
    k_counts counts = {0};
    err e = {0};
    for (int i = 0; i < n; i++) {
        all[i] = i;
        weights[i] = tokens[i] == info->mask_id ? 1.0f : 0.0f;
    }
    backward_req q = {.n_seeds = 1, .weights = weights, .wrt = all, .n_wrt = n};
    MUST(denoiser_backward(d, p, &q, grads, &counts, &e), &e);
    cJSON_ArrayForEach(row, rows) n_want = read_numbers(row, want, n_want, size);
    CHECK(n_want == size);
    for (int i = 0; i < size; i++) got[i] = (double)grads[i];
    double off = CLOSE(got, want, size, 1e-3, "gradient");
    free(grads);
    free(got);
    free(want);
    return off;
}

static void check_case(denoiser *d, pass *p, const cJSON *json, double *worst_logit, double *worst_grad) {
    int32_t tokens[MAX];
    row_ref rows[MAX];
    int n = 0, n_masks = 0;
    double entropy = 0;
    const cJSON *t;
    err e = {0};
    cJSON_ArrayForEach(t, field(json, "tokens")) {
        assert_true(n < MAX);
        rows[n] = (row_ref){0, n};
        tokens[n++] = t->valueint;
    }
    sequence s = {tokens, n};
    forward_req q = {.seqs = &s, .n_seqs = 1, .rows = rows, .n_rows = n, .keep = true};
    MUST(denoiser_forward(d, &q, p, &e), &e);
    MUST(pass_read(p, NULL, 0, &e), &e);
    assert_int_equal(cJSON_GetArraySize(field(json, "logits")), n);
    for (int pos = 0; pos < n; pos++) {
        *worst_logit = fmax(*worst_logit, check_logits(d, p, pos, field(json, "logits")));
        if (tokens[pos] != denoiser_get_info(d)->mask_id) continue;
        n_masks++;
        entropy += pass_stats(p, pos)->entropy;
    }
    CHECK(n_masks > 0);
    CHECK(near(entropy, field(json, "entropy_sum")->valuedouble, 1e-4));
    *worst_grad = fmax(*worst_grad, check_gradient(d, p, tokens, n, field(json, "grad")));
}

static void test_parity(void **state) {
    const char *name = *state;
    char path[120];
    double worst_logit = 0, worst_grad = 0;
    denoiser *d;
    err e = {0};
    snprintf(path, sizeof path, FOLDER "%s", name);
    MUST(denoiser_load(&d, path, test_device(), &e), &e);
    CHECK(denoiser_get_info(d)->mask_id == 37);
    CHECK(denoiser_get_info(d)->shifted == (strcmp(name, "qwen2") == 0));
    cJSON *root = read_expected(name);
    const cJSON *item;
    pass *p = pass_new();
    assert_int_equal(cJSON_GetArraySize(field(root, "cases")), 3);
    cJSON_ArrayForEach(item, field(root, "cases")) check_case(d, p, item, &worst_logit, &worst_grad);
    printf("%s: logits off by %.1e, gradients by %.1e of the largest\n", name, worst_logit, worst_grad);
    pass_free(p);
    cJSON_Delete(root);
    denoiser_close(d);
}

int main(void) {
    static char llama[] = "llama", qwen2[] = "qwen2", qwen3[] = "qwen3";
    const struct CMUnitTest tests[] = {
        {"llama", test_parity, NULL, NULL, llama},
        {"qwen2", test_parity, NULL, NULL, qwen2},
        {"qwen3", test_parity, NULL, NULL, qwen3},
    };
    return finish("parity", cmocka_run_group_tests_name("parity", tests, NULL, NULL));
}
