/* test_kernels_device.c - a device as such: its memory, faults, forks and graphs, how it is opened by name;
 * and large shapes on it against the CPU, where naive references would be slow. */
#include "tests/unit/kernels/rig.h"

#include <dlfcn.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

/* One of the emulator's functions, NULL where the device is none of its. */
static uintptr_t emulator_function(const char *name) {
    const char *file = getenv("TABES_CUDA_MODULE");
    void *module = K->host || !file ? NULL : dlopen(file, RTLD_NOW | RTLD_NOLOAD);
    void *found = module ? dlsym(module, name) : NULL;
    if (module) dlclose(module);
    return (uintptr_t)found;
}

/* Makes an emulated device refuse `what` (emulator.h), where this is one. */
static bool emulator_refuses(const char *what) {
    uintptr_t set_refuse = emulator_function("emulator_set_refuse");
    if (set_refuse) ((void (*)(const char *))set_refuse)(what);
    return set_refuse;
}

/* ---- memory ---- */

static void test_memory(void **state) {
    (void)state;
    size_t n = ((size_t)8 << 20) + 13;
    k_memory before, held, after;
    K->memory(K, &before);
    unsigned char *p = K->alloc(K, n), *q = K->alloc(K, 0), *src = mem_new(n + 1, 1),
                  *back = mem_new(n + 1, 1);
    assert_true(p && q && src && back);
    K->memory(K, &held);
    CHECK((uintptr_t)p % 256 == 0 && held.used_bytes >= before.used_bytes + n);
    for (size_t i = 0; i <= n; i++) src[i] = (unsigned char)(i * 31 + i / 251);
    K->put(K, p, src + 1, n); /* host memory may be unaligned */
    memcpy(back, src + 1, n);
    memset(src, 0, n + 1); /* put has copied by now */
    memcpy(src, back, n);
    memset(back, 0, n + 1);
    K->get(K, back + 1, p, n);
    CHECK(memcmp(back + 1, src, n) == 0);
    K->zero(K, p + 5, 1000);
    K->put(K, p + 7, src, 3);
    K->get(K, back, p, 1010);
    bool right =
        memcmp(back, src, 5) == 0 && memcmp(back + 7, src, 3) == 0 && memcmp(back + 1005, src + 1005, 5) == 0;
    for (int i = 10; i < 1005; i++) right = right && back[i] == 0;
    CHECK(right && back[5] == 0 && back[6] == 0);
    K->free(K, p);
    K->free(K, q);
    K->free(K, NULL);
    K->memory(K, &after);
    CHECK(after.used_bytes == before.used_bytes && after.total_bytes >= after.free_bytes);
    free(src);
    free(back);
    end_round();
}

/* A fault is one line, names the device, holds operations back until it is asked for, and is then over. */
static void test_fault(void **state) {
    (void)state;
    k_fault f;
    array *x = floats(3, 5, 1), *y = floats(3, 5, 1);
    CHECK(!K->fault(K, &f));
    CHECK(K->alloc(K, (size_t)1 << 60) == NULL);
    K->rows(K, y->p, NULL, x->p, NULL, NULL, 3, 5);
    K->zero(K, y->p, 15 * sizeof(float));
    CHECK(K->fault(K, &f) && f.kind == K_NO_MEMORY);
    CHECK(strncmp(f.text, K->name, strlen(K->name)) == 0 && !strchr(f.text, '\n'));
    CHECK(!K->fault(K, &f));
    CLOSE(results(y), y->v, NULL, y->n, 0, 0, "after a fault");
    K->rows(K, y->p, NULL, x->p, NULL, NULL, 3, 5);
    CLOSE(results(y), x->v, NULL, y->n, 0, 0, "after the fault was asked for");
    end_round();
}

static void test_load_floats(void **state) {
    (void)state;
    static float host[1000];
    for (int i = 0; i < 1000; i++) host[i] = (float)normal();
    const float *device = K->load_floats(K, host, 1000);
    float back[1000];
    assert_non_null(device);
    K->get(K, back, device, sizeof back);
    CHECK(memcmp(host, back, sizeof back) == 0);
    end_round();
}

static void test_itself(void **state) {
    (void)state;
    CHECK(K->name[0] && K->title[0] && (K->act_bytes == 4 || K->act_bytes == 2));
    CHECK(!K->host || K->act_bytes == 4);
    K->close(NULL);
    int before = kernels_threads();
    kernels_set_threads(1);
    CHECK(kernels_threads() == 1);
    kernels_set_threads(0);
    CHECK(kernels_threads() == before && before >= 1);
}

/* ---- names ---- */

static bool refuses(const char *name, k_precision precision, const char *says) {
    kernels *k = K;
    k_fault f = {0};
    int rc = kernels_open(&k, &(k_open){.device = name, .precision = precision}, &f);
    bool right = rc && !k && (f.kind == K_NO_DEVICE || f.kind == K_UNUSABLE) && strstr(f.text, says) &&
                 !strchr(f.text, '\n');
    if (!right) print_error("%s: \"%s\"\n", name, f.text);
    return right;
}

static void test_names(void **state) {
    (void)state;
    kernels *k = NULL;
    k_fault f;
    CHECK(!kernels_open(&k, &(k_open){0}, &f) && k == kernels_cpu() && k->host);
    CHECK(!kernels_open(&k, &(k_open){.device = "cpu", .precision = K_PRECISION_F32}, &f) &&
          k == kernels_cpu());
    CHECK(!kernels_open(&k, &(k_open){.device = "cpu", .precision = K_PRECISION_BF16}, &f) &&
          k == kernels_cpu_bf16() && k->host);
    CHECK(k->act_bytes == 4 && k->product_bytes == 2 && kernels_cpu()->product_bytes == 4);
    static const char *const unknown[] = {
        "gpu7", "", "CUDA", "cuda:", "cuda:x", "cuda:-1", "cuda:12345", "cuda0"};
    for (int i = 0; i < 8; i++) CHECK(refuses(unknown[i], K_PRECISION_AUTO, "use cpu, cuda or cuda:N"));
}

static bool turn_opens(int turn, const char *name) {
    kernels *k;
    k_fault f;
    kernels_set_turn(turn);
    bool right = !kernels_open(&k, &(k_open){.device = "cuda"}, &f) && !strcmp(k->name, name);
    if (k) k->close(k);
    kernels_set_turn(0);
    return right;
}

/* "cuda" goes round the GPUs; a number is that GPU. */
static void test_turns(void **state) {
    (void)state;
    uintptr_t set_devices = emulator_function("emulator_set_devices");
    if (!set_devices) return;
    ((void (*)(int))set_devices)(3);
    CHECK(turn_opens(0, "cuda:0") && turn_opens(2, "cuda:2") && turn_opens(4, "cuda:1"));
    ((void (*)(int))set_devices)(1);
    CHECK(turn_opens(3, "cuda:0"));
}

/* The module that TABES_CUDA_MODULE names, and no other. */
static void test_no_module(void **state) {
    (void)state;
    if (!K->host) return; /* the module that K came from must not be disturbed */
    setenv("TABES_CUDA_MODULE", "/nonexistent/module.so", 1);
    CHECK(refuses("cuda:1", K_PRECISION_AUTO,
                  "cuda:1: no CUDA module here (TABES_CUDA_MODULE: /nonexistent/module.so"));
    CHECK(refuses("cuda", K_PRECISION_AUTO, "use --device cpu"));
    char self[4096] = "";
    CHECK(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    setenv("TABES_CUDA_MODULE", self, 1); /* no shared library */
    CHECK(refuses("cuda", K_PRECISION_AUTO, "use --device cpu"));
    setenv("TABES_CUDA_MODULE", "libm.so.6", 1); /* a library, but not ours */
    CHECK(refuses("cuda", K_PRECISION_AUTO, "no device module"));
    unsetenv("TABES_CUDA_MODULE");
}

/* ---- forks and graphs ---- */

enum { D = 64, HEADS = 2, HD = 32, F = 96, N = 19, QKV = 3 * D };

/* One block of a network, on the device k. */
typedef struct layer {
    weights *qkv, *o, *gu, *down;
    array *x, *norm, *table, *pos, *span, *a_qkv, *a_o, *lse, *y, *h, *a_gu, *m;
} layer;

static layer layer_new(void) {
    double table[N * HD];
    int pos[N];
    for (int i = 0; i < N * HD; i++)
        table[i] = (i % HD < HD / 2 ? cos : sin)(i / HD * pow(100, -(i % (HD / 2)) / 16.0));
    for (int i = 0; i < N; i++) pos[i] = i;
    return (layer){
        .qkv = weights_of(QKV, D, K_BF16, 3, true),
        .o = weights_of(D, D, K_F32, 1, false),
        .gu = weights_of(2 * F, D, K_F16, 2, false),
        .down = weights_of(D, F, K_BF16, 1, false),
        .x = blank(FLOATS, N, D),
        .norm = floats(1, D, 1),
        .table = of_values(FLOATS, table, N, HD),
        .pos = ints(pos, N),
        .span = raw(&(k_span){0, N, 0, N, -1}, 1, sizeof(k_span)),
        .a_qkv = blank(ACTS, N, QKV),
        .a_o = blank(ACTS, N, D),
        .lse = blank(FLOATS, N, HEADS),
        .y = blank(ACTS, N, D),
        .h = blank(ACTS, N, D),
        .a_gu = blank(ACTS, N, 2 * F),
        .m = blank(ACTS, N, F),
    };
}

static void layer_run(kernels *k, const layer *l) {
    k_norm norm = {.n = N, .d = D, .eps = 1e-5f, .x = l->x->p, .w = l->norm->p, .h = l->h->p};
    k->zero(k, l->y->p, l->y->n * (size_t)k->act_bytes);
    k->norm(k, &norm);
    k->linear(k, l->a_qkv->p, l->h->p, N, &l->qkv->w);
    k->rope(k, l->a_qkv->p, QKV, l->pos->p, N, 2 * HEADS, HD, l->table->p, 0);
    k->attention(k, &(k_attn){.H = HEADS,
                              .KV = HEADS,
                              .hd = HD,
                              .qkv = l->a_qkv->p,
                              .keys = l->a_qkv->p,
                              .spans = l->span->p,
                              .n_spans = 1,
                              .max_q = N,
                              .max_k = N,
                              .o = l->a_o->p,
                              .lse = l->lse->p});
    k->linear(k, l->y->p, l->a_o->p, N, &l->o->w);
    norm.y = l->y->p, norm.sum = l->x->p;
    k->norm(k, &norm);
    k->linear(k, l->a_gu->p, l->h->p, N, &l->gu->w);
    k->swiglu(k, l->m->p, l->a_gu->p, N, F);
    k->linear(k, l->y->p, l->m->p, N, &l->down->w);
    norm.h = NULL;
    k->norm(k, &norm);
}

static void fill(kernels *k, layer *l, uint64_t salt) {
    float x[N * D];
    for (int i = 0; i < N * D; i++) x[i] = (float)rng_uniform(seed, salt, (uint64_t)i, 0, RNG_PATH) - 0.5f;
    k->put(k, l->x->p, x, sizeof x);
}

static void read_all(layer *l) {
    array *outputs[] = {l->x, l->a_qkv, l->a_o, l->lse, l->y, l->h, l->a_gu, l->m};
    for (int i = 0; i < 8; i++) results(outputs[i]);
}

/* True: it was replayed. */
static bool run_keyed(const layer *l, const void *key, size_t key_bytes) {
    if (K->graph_begin(K, key, key_bytes)) return true;
    do {
        layer_run(K, l);
    } while (K->graph_end(K));
    return false;
}

/* Work under a key gives what it gives without one, for whatever the arrays hold, also when other work comes
 * in between and when memory moves. */
static void test_graphs(void **state) {
    (void)state;
    layer l = layer_new(), other = layer_new();
    double *want[3];
    for (uint64_t i = 0; i < 3; i++) {
        fill(K, &l, i);
        layer_run(K, &l);
        want[i] = results(l.x);
    }
    int replayed = 0;
    for (uint64_t i = 0; i < 7; i++) {
        void *key[] = {&l, l.x->p};
        fill(K, &l, i % 3);
        replayed += run_keyed(&l, key, sizeof key);
        CHECK(memcmp(results(l.x), want[i % 3], l.x->n * sizeof(double)) == 0);
        void *second[] = {&other, other.x->p};
        fill(K, &other, i);
        if (i % 2) run_keyed(&other, second, sizeof second);
        void *moves = K->alloc(K, 1000 * (i + 1));
        K->free(K, moves);
    }
    CHECK(K->host ? replayed == 0 : replayed == 5);
    read_all(&l);
    read_all(&other);
    end_round();
}

/* Work that a device cannot record or replay runs as it is, the same call and ever after. */
static void test_no_graphs(void **state) {
    (void)state;
    static const char *const refused[] = {"capture", "graphs"};
    layer l = layer_new();
    fill(K, &l, 1);
    layer_run(K, &l);
    const double *want = results(l.x);
    for (int i = 0; i < 2 && emulator_refuses(refused[i]); i++) {
        kernels *main = K;
        k_fault f = {0};
        assert_int_equal(main->fork(main, &K, &f), 0);
        for (int j = 0; j < 4; j++) {
            fill(K, &l, 1);
            CHECK(!run_keyed(&l, refused[i], 6));
            CHECK(!K->fault(K, &f));
            CHECK(memcmp(results(l.x), want, l.x->n * sizeof *want) == 0);
        }
        K->close(K);
        K = main;
    }
    emulator_refuses("");
    read_all(&l);
    end_round();
}

static void *close_queue(void *k) {
    ((kernels *)k)->close(k);
    return NULL;
}

/* A queue that another thread closes meanwhile spoils no recording. */
static void test_close_beside_recording(void **state) {
    (void)state;
    kernels *k = NULL;
    k_fault f = {0};
    pthread_t thread;
    layer l = layer_new();
    fill(K, &l, 1);
    run_keyed(&l, "close", 5);
    const double *want = results(l.x);
    assert_int_equal(K->fork(K, &k, &f), 0);
    fill(K, &l, 1);
    CHECK(!K->graph_begin(K, "close", 5));
    assert_int_equal(pthread_create(&thread, NULL, close_queue, k), 0);
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL); /* enough for a close that does not wait */
    layer_run(K, &l);
    CHECK(!K->graph_end(K));
    pthread_join(thread, NULL);
    CHECK(memcmp(results(l.x), want, l.x->n * sizeof *want) == 0);
    CHECK(run_keyed(&l, "close", 5) == !K->host);
    read_all(&l);
    end_round();
}

/* A fork computes the same bits over the same weights, and what it allocates is counted. */
static void test_fork(void **state) {
    (void)state;
    kernels *k = NULL;
    k_fault f = {0};
    layer l = layer_new();
    fill(K, &l, 1);
    layer_run(K, &l);
    const double *want = results(l.x);
    assert_int_equal(K->fork(K, &k, &f), 0);
    CHECK(k->act_bytes == K->act_bytes && k->host == K->host && !strcmp(k->name, K->name));
    k_memory before, held;
    K->memory(K, &before);
    void *p = k->alloc(k, 12345);
    K->memory(K, &held);
    CHECK(p && held.used_bytes >= before.used_bytes + 12345);
    k->free(k, p);
    fill(k, &l, 1);
    layer_run(k, &l);
    float first;
    k->get(k, &first, l.x->p, sizeof first); /* waits for the fork's queue; the rig reads through K's */
    CHECK((double)first == want[0]);
    CHECK(memcmp(results(l.x), want, l.x->n * sizeof *want) == 0);
    CHECK(!k->fault(k, &f));
    k->close(k);
    read_all(&l);
    end_round();
}

/* cuBLAS says only that it could not be initialized. */
static void test_no_handle(void **state) {
    (void)state;
    kernels *k = K;
    k_fault f = {0};
    if (!emulator_refuses("handles")) return;
    CHECK(K->fork(K, &k, &f) && !k && f.kind == K_NO_MEMORY && strstr(f.text, "out of memory"));
    emulator_refuses("");
}

/* ---- large shapes against the CPU ---- */

/* Arrays of the same values on the CPU and on K, in this order. */
typedef struct pair {
    array *on[2];
} pair;

static pair pair_of(array *a, element type) {
    return (pair){{copy_to(kernels_cpu(), a, type), a}};
}

static pair pair_blank(element type, int rows, int width) {
    return pair_of(blank(type, rows, width), type);
}

static kernels *side(int i) {
    return i ? K : kernels_cpu();
}

/* Entries are sums of many terms of mixed sign, so errors are held against the root mean square of the array.
 * A bf16 device may round twice, before and after a bias is added; callers allow for probabilities that are
 * rounded before they enter a product. */
static void agree(pair p, double tol, const char *what) {
    double *want = results(p.on[0]), *got = results(p.on[1]), *mag = doubles(p.on[0]->n), squares = 0;
    size_t n = p.on[0]->n, used = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isnan(want[i])) squares += want[i] * want[i], used++;
    }
    for (size_t i = 0; i < n; i++) mag[i] = sqrt(squares / (double)(used ? used : 1));
    double stored = p.on[1]->kind == ACTS ? rounding() : 0;
    CLOSE(got, want, mag, n, tol + stored, 2 * stored, what);
}

static void products_agree(int n, int in, int out) {
    weights *w = weights_of(out, in, K_BF16, 2, true);
    const k_weight *weight[] = {&w->host, &w->w};
    pair x = pair_of(acts(n, in, 1), ACTS), y = pair_blank(ACTS, n, out), z = pair_blank(FLOATS, n, out);
    pair dy = pair_of(acts(n, out, 1), ACTS), dx = pair_blank(ACTS, n, in);
    for (int i = 0; i < 2; i++) {
        kernels *k = side(i);
        k->linear(k, y.on[i]->p, x.on[i]->p, n, weight[i]);
        k->logits(k, z.on[i]->p, x.on[i]->p, n, weight[i], 0.25f);
        k->linear_back(k, dx.on[i]->p, dy.on[i]->p, n, weight[i], NULL);
    }
    agree(y, 1e-4, "linear");
    agree(z, 1e-4, "logits");
    agree(dx, 1e-4, "linear_back");
    end_round();
}

static void attention_agrees(int n, int active, int H, int KV, int hd) {
    int width = (H + 2 * KV) * hd, *chosen = choose(active, 0, n), seeds = 2;
    k_span span = {0, n, 0, n, -1};
    pair qkv = pair_of(acts(n, width, 1), ACTS), o = pair_blank(ACTS, n, H * hd),
         lse = pair_blank(FLOATS, n, H);
    pair dout = pair_of(acts(seeds * active, H * hd, 1), ACTS),
         dqkv = pair_blank(ACTS, seeds * active, width);
    for (int i = 0; i < 2; i++) {
        kernels *k = side(i);
        array *rows = raw_on(k, chosen, active, sizeof(int)), *spans = raw_on(k, &span, 1, sizeof span);
        void *q = qkv.on[i]->p, *out = o.on[i]->p, *sums = lse.on[i]->p;
        k->attention(k, &(k_attn){H, KV, hd, q, q, NULL, spans->p, 1, n, n, out, sums});
        k->attention_back(k,
                          &(k_attn_back){active, seeds, 0, n, H, KV, hd, false, rows->p, q, out, sums,
                                         dout.on[i]->p, dqkv.on[i]->p},
                          NULL);
    }
    agree(o, 1e-4 + 4 * rounding(), "attention");
    agree(lse, 1e-5, "lse");
    agree(dqkv, 1e-4 + 4 * rounding(), "attention_back");
    end_round();
}

static void head_agrees(int n, int V, int d) {
    weights *E = weights_of(V, d, K_BF16, 1, false);
    const k_weight *weight[] = {&E->host, &E->w};
    pair z = pair_of(floats(n, V, 3), FLOATS), out = pair_blank(FLOATS, n, d), dz = pair_blank(ACTS, n, V);
    const k_row_stats *s[2];
    const k_top *top[2];
    for (int i = 0; i < 2; i++) {
        kernels *k = side(i);
        array *stats = raw_on(k, NULL, n, sizeof(k_row_stats)), *best = raw_on(k, NULL, n, sizeof(k_top));
        void *logits = z.on[i]->p;
        k->head_stats(k, stats->p, best->p, logits, n, V, V / 2);
        k->soft_write(k, out.on[i]->p, logits, stats->p, NULL, n, V, V / 2, weight[i]);
        k->entropy_back(k, dz.on[i]->p, logits, stats->p, NULL, n, V, V / 2, 1, NULL);
        s[i] = raw_results(stats), top[i] = raw_results(best);
    }
    for (int i = 0; i < n; i++) {
        CHECK(s[0][i].argmax == s[1][i].argmax &&
              memcmp(top[0][i].id, top[1][i].id, sizeof top[0][i].id) == 0);
        CHECK(fabs(s[0][i].entropy - s[1][i].entropy) < 1e-4 && fabs(s[0][i].lse - s[1][i].lse) < 1e-4);
    }
    agree(out, 1e-4 + 4 * rounding(), "soft_write");
    agree(dz, 1e-4, "entropy_back");
    end_round();
}

static void rows_agree(int n, int d) {
    pair x = pair_of(floats(n, d, 2), FLOATS), y = pair_of(acts(n, d, 1), ACTS),
         w = pair_of(floats(1, d, 1), FLOATS);
    pair h = pair_blank(ACTS, n, d), dx = pair_blank(FLOATS, n, d), none = pair_blank(ACTS, n, d);
    pair gu = pair_of(acts(n, 2 * d, 2), ACTS), m = pair_blank(ACTS, n, d), dgu = pair_blank(ACTS, n, 2 * d);
    for (int i = 0; i < 2; i++) {
        kernels *k = side(i);
        k_norm norm = {.n = n, .d = d, .eps = 1e-5f, .x = x.on[i]->p, .y = y.on[i]->p, .w = w.on[i]->p};
        norm.h = h.on[i]->p;
        k->norm(k, &norm);
        k_norm_back back = {.n = n, .d = d, .eps = 1e-5f, .x = x.on[i]->p, .w = w.on[i]->p, .dy = y.on[i]->p};
        back.dx = dx.on[i]->p, back.dx_act = none.on[i]->p;
        k->norm_back(k, &back);
        k->swiglu(k, m.on[i]->p, gu.on[i]->p, n, d);
        k->swiglu_back(k, dgu.on[i]->p, y.on[i]->p, gu.on[i]->p, NULL, n, d);
        results(none.on[i]);
    }
    agree(h, 1e-5, "norm");
    agree(dx, 1e-5, "norm_back");
    agree(m, 1e-5, "swiglu");
    agree(dgu, 1e-5, "swiglu_back");
    end_round();
}

static void test_against_cpu(void **state) {
    (void)state;
    if (K == kernels_cpu()) return;
    int big = rounds >= 40 ? 8 : 1; /* an emulated device is slow */
    products_agree(33 * big, 512, 384 * big);
    attention_agrees(96 * big + 5, 40 * big, 4, 2, 64);
    attention_agrees(70 * big + 3, 33, 2, 1, 128);
    head_agrees(4, 5000 * big + 7, 96);
    rows_agree(40 * big, 1024);
}

int main(int argc, char **argv) {
    int rc = open_device(argc, argv);
    if (rc) return rc;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_itself),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_fault),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_load_floats),
        cmocka_unit_test(test_no_module),
        cmocka_unit_test(test_turns),
        cmocka_unit_test(test_graphs),
        cmocka_unit_test(test_no_graphs),
        cmocka_unit_test(test_no_handle),
        cmocka_unit_test(test_close_beside_recording),
        cmocka_unit_test(test_fork),
        cmocka_unit_test(test_against_cpu),
    };
    return close_device("device", cmocka_run_group_tests(tests, NULL, NULL));
}
