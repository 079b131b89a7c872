/* test_mdlm.c - the DiT of MDLM: told the noise level or not. Logits against saved float64 results at the
 * level that a sequence's masks tell, passes of several levels kept side by side, gradients against
 * differences.
 *
 * Bounds: logits 1e-4 of the largest, differences 1 % of the largest component (test_denoiser.c says why). */
#include "checks.h"
#include "device.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/base/strbuf.h"

enum { MAX = 32, V = 48, D = 48, MASK = 47 };

typedef struct timed_case {
    int n;
    int32_t tokens[MAX];
    double sigma, logits[MAX * V]; /* of every position; the mask's are 0 */
} timed_case;

enum { MAX_CASES = 8 };
static timed_case cases[MAX_CASES];
static int n_cases;

static const cJSON *field(const cJSON *o, const char *key) {
    const cJSON *f = cJSON_GetObjectItemCaseSensitive(o, key);
    assert_non_null(f);
    return f;
}

static void read_case(timed_case *c, const cJSON *o) {
    const cJSON *item, *z;
    int row = 0;
    cJSON_ArrayForEach(item, field(o, "tokens")) c->tokens[c->n++] = item->valueint;
    c->sigma = field(o, "sigma")->valuedouble;
    cJSON_ArrayForEach(item, field(o, "logits")) {
        int v = 0;
        assert_int_equal(cJSON_GetArraySize(item), V - 1); /* the mask is the last */
        cJSON_ArrayForEach(z, item) c->logits[row * V + v++] = z->valuedouble;
        row++;
    }
    assert_int_equal(row, c->n);
}

static int read_cases(void **state) {
    (void)state;
    strbuf text;
    err e = {0};
    const cJSON *item;
    MUST(strbuf_read_file(&text, "tests/vectors/mdlm-time/logits.json", 1 << 24, &e), &e);
    cJSON *root = cJSON_Parse(text.data);
    assert_non_null(root);
    cJSON_ArrayForEach(item, field(root, "cases")) {
        assert_true(n_cases < MAX_CASES);
        read_case(&cases[n_cases++], item);
    }
    cJSON_Delete(root);
    strbuf_release(&text);
    return n_cases == 0;
}

static denoiser *open_vectors(const char *name) {
    char path[80];
    err e = {0};
    denoiser *d;
    snprintf(path, sizeof path, "tests/vectors/%s", name);
    MUST(denoiser_load(&d, path, test_device(), &e), &e);
    return d;
}

/* Every row of one sequence, with an embedding put in at `pos` when there is a vector. */
static void forward(denoiser *d, const timed_case *c, int pos, const float *vector, pass *p) {
    sequence s = {c->tokens, c->n};
    injection in = {0, pos, vector};
    row_ref rows[MAX];
    err e = {0};
    for (int i = 0; i < c->n; i++) rows[i] = (row_ref){0, i};
    forward_req q = {.seqs = &s,
                     .n_seqs = 1,
                     .inject = &in,
                     .n_inject = vector ? 1 : 0,
                     .rows = rows,
                     .n_rows = c->n,
                     .keep = true};
    MUST(denoiser_forward(d, &q, p, &e), &e);
    MUST(pass_read(p, NULL, 0, &e), &e);
}

static void read_logits(const pass *p, int n, double *out) {
    for (int i = 0; i < n; i++) {
        const float *z = pass_logits(p, i);
        CHECK(isinf(z[MASK]) && z[MASK] < 0);
        for (int v = 0; v < V; v++) out[i * V + v] = v == MASK ? 0 : (double)z[v];
    }
}

static void check_logits(const pass *p, const timed_case *c, const char *what) {
    double got[MAX * V];
    read_logits(p, c->n, got);
    CLOSE(got, c->logits, c->n * V, 1e-4, what);
}

/* Gradients of the sum of the masks' entropies along the embeddings of `wrt`. */
static void gradients(denoiser *d, const timed_case *c, const pass *p, const int *wrt, int n_wrt,
                      float *out) {
    float weights[MAX];
    err e = {0};
    for (int i = 0; i < c->n; i++) weights[i] = c->tokens[i] == MASK ? 1.0f : 0.0f;
    backward_req q = {.n_seeds = 1, .weights = weights, .wrt = wrt, .n_wrt = n_wrt};
    MUST(denoiser_backward(d, p, &q, out, NULL, &e), &e);
}

static double entropy_sum(const timed_case *c, const pass *p) {
    double sum = 0;
    for (int i = 0; i < c->n; i++) sum += c->tokens[i] == MASK ? pass_stats(p, i)->entropy : 0;
    return sum;
}

/* ---- both kinds ---- */

static void test_info(void **state) {
    (void)state;
    const char *const names[] = {"mdlm", "mdlm-time"};
    for (int i = 0; i < 2; i++) {
        denoiser *d = open_vectors(names[i]);
        const denoiser_info *info = denoiser_get_info(d);
        CHECK(strcmp(info->arch, "mdlm") == 0 && strcmp(info->name, names[i]) == 0);
        CHECK(info->n_vocab == V && info->d_model == D && info->n_layers == 3 && info->n_heads == 3);
        CHECK(info->n_kv_heads == 3 && info->mlp_size == 4 * D && info->max_len == 256);
        CHECK(info->mask_id == MASK && !info->shifted && strcmp(info->dtype, "F32") == 0); /* the last row */
        CHECK(info->bos_id == -1 && info->eos_id == -1 && info->pad_id == -1);
        denoiser_close(d);
    }
}

/* The saved cases go from no mask to nothing but masks: the level follows from them. */
static void test_levels(void **state) {
    (void)state;
    denoiser *d = open_vectors("mdlm-time");
    pass *p = pass_new();
    double lowest = 1e9, highest = 0;
    for (int i = 0; i < n_cases; i++) {
        int masks = 0;
        for (int k = 0; k < cases[i].n; k++) masks += cases[i].tokens[k] == MASK;
        double level = -log(1 - 0.999 * masks / cases[i].n);
        CHECK(near(level, cases[i].sigma, 1e-9));
        lowest = fmin(lowest, level), highest = fmax(highest, level);
        forward(d, &cases[i], 0, NULL, p);
        check_logits(p, &cases[i], "logits");
    }
    CHECK(near(lowest, 0, 1e-12) && highest > 6.9);
    for (int i = n_cases; i-- > 0;) { /* and again, each after another level than before */
        forward(d, &cases[i], 0, NULL, p);
        check_logits(p, &cases[i], "logits after another level");
    }
    pass_free(p);
    denoiser_close(d);
}

/* The level matters, so that a forgotten one would be seen: a model that is not told computes another thing.
 */
static void test_untimed(void **state) {
    (void)state;
    denoiser *d = open_vectors("mdlm"), *timed = open_vectors("mdlm-time");
    pass *p = pass_new(), *q = pass_new();
    timed_case swapped = cases[0];
    double a[MAX * V], b[MAX * V];
    int k = 0;
    while (swapped.tokens[k] == MASK) k++;
    swapped.tokens[k] = MASK; /* one mask more, and its embedding put back as it was */
    float kept[D];
    for (int i = 0; i < 2; i++) {
        denoiser *one = i ? timed : d;
        denoiser_embedding(one, cases[0].tokens[k], kept);
        forward(one, &cases[0], 0, NULL, p);
        forward(one, &swapped, k, kept, q);
        read_logits(p, cases[0].n, a);
        read_logits(q, cases[0].n, b);
        double off = 0;
        for (int j = 0; j < cases[0].n * V; j++) off = fmax(off, fabs(a[j] - b[j]));
        CHECK(i ? off > 0.1 : off < 1e-5);
    }
    pass_free(p);
    pass_free(q);
    denoiser_close(timed);
    denoiser_close(d);
}

/* A kept pass keeps its level: what is asked of it does not depend on what ran since. */
static void test_kept(void **state) {
    (void)state;
    denoiser *d = open_vectors("mdlm-time"), *other;
    err e = {0};
    MUST(denoiser_fork(&other, d, &e), &e);
    for (int i = 0; i < n_cases; i++) {
        const timed_case *c = &cases[i], *next = &cases[(i + 1) % n_cases];
        const int wrt[] = {0, 3, 5};
        float before[3 * D], after[3 * D], moved[D];
        double first, second, a[3 * D], b[3 * D];
        pass *p = pass_new(), *q = pass_new();
        forward(d, c, 0, NULL, p);
        denoiser_embedding(d, 7, moved);
        int all[MAX], want[] = {1, 4};
        for (int k = 0; k < c->n; k++) all[k] = k;
        restricted_case one = {5, moved, all, c->n, want, 1};
        restricted_req ask = {.seq = 0, .cases = &one, .n_cases = 1};
        gradients(d, c, p, wrt, 3, before);
        MUST(denoiser_restricted(d, p, &ask, &first, &e), &e);
        forward(d, next, 0, NULL, q);
        forward(other, next, 0, NULL, q);
        gradients(d, c, p, wrt, 3, after);
        for (int k = 0; k < 3 * D; k++) a[k] = (double)after[k], b[k] = (double)before[k];
        CLOSE(a, b, 3 * D, 1e-6, "gradient after another level");
        forward(d, next, 0, NULL, q);
        MUST(denoiser_restricted(d, p, &ask, &second, &e), &e);
        CHECK(near(first, second, 1e-6));
        forward(d, next, 0, NULL, q); /* and the other way round: the backward above left no level behind */
        check_logits(q, next, "logits after a backward of another level");
        pass_free(p);
        pass_free(q);
    }
    denoiser_close(other);
    denoiser_close(d);
}

/* Recomputing all rows with another embedding is a forward with it injected, at the kept pass's level. */
static void test_restricted(void **state) {
    (void)state;
    denoiser *d = open_vectors("mdlm-time");
    const timed_case *c = &cases[n_cases - 1];
    float moved[D];
    double got[MAX], want[MAX];
    int all[MAX];
    err e = {0};
    pass *p = pass_new(), *q = pass_new();
    denoiser_embedding(d, 7, moved);
    for (int k = 0; k < c->n; k++) all[k] = k;
    forward(d, c, 0, NULL, p);
    restricted_case one = {2, moved, all, c->n, all, c->n};
    MUST(denoiser_restricted(d, p, &(restricted_req){.cases = &one, .n_cases = 1}, got, &e), &e);
    forward(d, c, 2, moved, q);
    for (int k = 0; k < c->n; k++) want[k] = pass_stats(q, k)->entropy;
    CLOSE(got, want, c->n, 1e-5, "all rows recomputed");
    pass_free(p);
    pass_free(q);
    denoiser_close(d);
}

/* Central differences: steps of 2e-3, every component at a few positions, masks and others. */
static void test_differences(void **state) {
    (void)state;
    const char *const names[] = {"mdlm", "mdlm-time"};
    if (getenv("TABES_DEVICE")) return; /* thousands of forwards */
    for (int m = 0; m < 2; m++) {
        denoiser *d = open_vectors(names[m]);
        const timed_case *c = &cases[0];
        const int wrt[] = {0, 4, 7};
        float g[3 * D], e0[D];
        double got[D], want[D];
        pass *p = pass_new();
        forward(d, c, 0, NULL, p);
        gradients(d, c, p, wrt, 3, g);
        for (int i = 0; i < 3; i++) {
            denoiser_embedding(d, c->tokens[wrt[i]], e0);
            for (int j = 0; j < D; j++) {
                float keep = e0[j], h = 2e-3f;
                e0[j] = keep + h;
                double at_up = (double)e0[j];
                forward(d, c, wrt[i], e0, p);
                double up = entropy_sum(c, p);
                e0[j] = keep - h;
                forward(d, c, wrt[i], e0, p);
                want[j] = (up - entropy_sum(c, p)) / (at_up - (double)e0[j]);
                e0[j] = keep;
                got[j] = (double)g[i * D + j];
            }
            CLOSE(got, want, D, 1e-2, names[m]);
        }
        pass_free(p);
        denoiser_close(d);
    }
}

/* The tokenizer of GPT-2 has 50257 entries and the mask is the row after: nothing else may be lost. */
static void test_tokens(void **state) {
    (void)state;
    for (int n = 40; n <= V; n++) {
        denoiser_opts o = *test_device();
        denoiser *d;
        err e = {0};
        pass *p = pass_new();
        o.n_tokens = n;
        MUST(denoiser_load(&d, "tests/vectors/mdlm-time", &o, &e), &e);
        CHECK(denoiser_get_info(d)->n_vocab == V && denoiser_get_info(d)->mask_id == MASK);
        forward(d, &cases[0], 0, NULL, p);
        for (int i = 0; i < cases[0].n; i++) {
            for (int v = 0; v < V; v++) {
                double z = (double)pass_logits(p, i)[v], want = cases[0].logits[i * V + v];
                CHECK(v >= n || v == MASK ? isinf(z) && z < 0 : near(z, want, 1e-3));
            }
        }
        pass_free(p);
        denoiser_close(d);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_info),   cmocka_unit_test(test_levels),     cmocka_unit_test(test_untimed),
        cmocka_unit_test(test_kept),   cmocka_unit_test(test_restricted), cmocka_unit_test(test_differences),
        cmocka_unit_test(test_tokens),
    };
    return finish("mdlm", cmocka_run_group_tests(tests, read_cases, NULL));
}
