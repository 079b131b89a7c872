/* test_kernels_head_tiles.c - the head in tiles of the vocabulary against logits, statistics, gradients and
 * soft writes one after the other.
 *
 * Half of the heads have whole numbers for weights and inputs: sums are exact then, whatever their order, ids
 * share logits everywhere, and statistics must be the same bits. */
#include "tests/unit/kernels/rig.h"

typedef struct head {
    int n, d, V, mask;
    bool whole; /* numbers */
    float *W, *bias;
    k_weight w;
    array *x, *z, *stats, *top;
    k_head h; /* without stored logits */
} head;

static float number(const head *t, double scale, int most) {
    return t->whole ? (float)pick(-most, most) : (float)(scale * normal());
}

static head *make_head(int n, int d, int V, int mask, bool whole) {
    head *t = lend(1, sizeof *t);
    *t = (head){.n = n, .d = d, .V = V, .mask = mask, .whole = whole};
    size_t cells = size(t->V, t->d);
    t->W = lend(cells, sizeof *t->W), t->bias = lend((size_t)t->V, sizeof *t->bias);
    for (size_t i = 0; i < cells; i++) t->W[i] = number(t, 1, 1);
    bool banned = pick(0, 1);
    for (int v = 0; v < t->V; v++)
        t->bias[v] = banned && pick(0, 3) == 0 && v && v != t->V / 2 ? -INFINITY : number(t, 1, 2);
    if (t->mask >= 0) t->bias[t->mask] = pick(0, 1) ? NAN : INFINITY; /* never read */
    return t;
}

static void load_head(head *t) {
    int cut = t->V > 1 ? pick(1, t->V - 1) : 0; /* two parts */
    k_matrix parts[2] = {{t->W, K_F32, cut ? cut : t->V, t->d},
                         {t->W + size(cut, t->d), K_F32, t->V - cut, t->d}};
    t->w = k_stack(parts, cut ? 2 : 1);
    t->w.bias = t->bias;
    load(&t->w);
}

/* The head's logits the plain way, and what they say. */
static void open_head(head *t) {
    int n = t->n, d = t->d, V = t->V, mask = t->mask;
    load_head(t);
    double *x = doubles(size(n, d) + 1);
    for (size_t i = 0; i < size(n, d); i++) x[i] = (double)number(t, 2 / sqrt(d), 2);
    t->x = of_values(ACTS, x, n, d);
    t->h = (k_head){t->x->p, NULL, &t->w, t->whole ? 1 : 0.5f, mask};
    t->z = blank(FLOATS, n, V);
    t->stats = raw(NULL, n, sizeof(k_row_stats)), t->top = raw(NULL, n, sizeof(k_top));
    K->logits(K, t->z->p, t->x->p, n, &t->w, t->h.scale);
    K->head_stats(K, t->stats->p, t->top->p, t->z->p, n, V, mask);
    t->z->output = t->stats->output = t->top->output = true;
}

/* Whether logits are the same bits in tiles. */
static bool exact(const head *t) {
    return t->whole || kernels_exact_rows(K);
}

static bool equal(double a, double b) {
    return a <= b && a >= b;
}

static bool equal_stats(const k_row_stats *a, const k_row_stats *b) {
    return equal(a->lse, b->lse) && equal(a->entropy, b->entropy) && equal(a->confidence, b->confidence) &&
           equal(a->margin, b->margin) && a->argmax == b->argmax && a->bad == b->bad;
}

static void same_stats(const head *t, const k_row_stats *got, const k_row_stats *want, int n) {
    bool good = true;
    for (int i = 0; i < n; i++) {
        const k_row_stats *a = got + i, *b = want + i;
        double tol = 1e-5 * (1 + fabs(b->lse));
        good = good && a->bad == b->bad;
        if (exact(t))
            good = good && equal_stats(a, b);
        else
            good = good && fabs(a->lse - b->lse) <= tol && fabs(a->entropy - b->entropy) <= 1e-4 &&
                   fabs(a->confidence - b->confidence) <= 1e-5 && fabs(a->margin - b->margin) <= 1e-5;
    }
    CHECK(good);
}

static void check_stored(const head *t, array *z) {
    double *got = results(z), *want = results(t->z);
    bool good = true;
    for (size_t i = 0; i < z->n; i++) {
        bool mask = (int)(i % (size_t)t->V) == t->mask;
        bool same = !(got[i] < want[i]) && !(got[i] > want[i]); /* NaN, too */
        good = good && (mask || same || (!exact(t) && fabs(got[i] - want[i]) <= 1e-5 * (1 + fabs(want[i]))));
    }
    CHECK(good);
}

static void check_statistics(const head *t) {
    array *stats = raw(NULL, t->n, sizeof(k_row_stats)), *top = raw(NULL, t->n, sizeof(k_top));
    array *z = blank(FLOATS, t->n, t->V);
    k_head h = t->h;
    bool stored = pick(0, 1), wants_top = pick(0, 2) > 0;
    if (stored) h.z = z->p;
    K->head(K, stats->p, wants_top ? top->p : NULL, &h, t->n);
    const k_row_stats *want = raw_results(t->stats);
    same_stats(t, raw_results(stats), want, t->n);
    if (stored) check_stored(t, z);
    top->output = wants_top;
    if (wants_top && exact(t))
        CHECK(!memcmp(raw_results(top), raw_results(t->top), (size_t)t->n * sizeof(k_top)));
}

/* A row alone, and in one thread, says what it says among others. */
static void check_alone(const head *t) {
    int threads = kernels_threads(), row = pick(0, t->n - 1);
    array *one = raw(NULL, 1, sizeof(k_row_stats));
    k_head h = t->h;
    h.x = k_act_at(K, h.x, size(row, t->d));
    kernels_set_threads(threads > 1 ? 1 : 3);
    K->head(K, one->p, NULL, &h, 1);
    kernels_set_threads(threads);
    same_stats(t, raw_results(one), (const k_row_stats *)raw_results(t->stats) + row, 1);
}

/* Of rows that are chosen, from stored logits and from none. */
static void check_sums(const head *t) {
    int m = pick(0, t->n), width = pick(1, 40);
    int *chosen = pick(0, 1) ? any_of(m, t->n) : NULL;
    array *rows = chosen ? ints(chosen, m) : NULL, *dz = blank(ACTS, m, t->V);
    array *dx = blank(ACTS, m, t->d), *got = blank(ACTS, m, t->d);
    const void *at = rows ? rows->p : NULL;
    weights *E = weights_of(t->V + pick(0, 2), width, any_type(), 1, false);
    array *soft = blank(FLOATS, m, width), *got_soft = blank(FLOATS, m, width);
    k_counts a = {0}, b = {0};
    K->entropy_back(K, dz->p, t->z->p, t->stats->p, at, m, t->V, t->mask, t->h.scale, &a);
    K->linear_back(K, dx->p, dz->p, m, &t->w, &a);
    K->soft_write(K, soft->p, t->z->p, t->stats->p, at, m, t->V, t->mask, &E->w);
    k_head h = t->h;
    if (pick(0, 1)) h.z = t->z->p;
    K->head_back(K, got->p, &h, t->stats->p, at, m, &b);
    K->head_soft(K, got_soft->p, &h, t->stats->p, at, m, &E->w);
    dz->output = true;
    CHECK(!memcmp(&a, &b, sizeof a));
    double *mag = doubles(dx->n + soft->n), tol = K->product_bytes == 2 ? 0x1p-7 : 2e-5;
    for (size_t i = 0; i < dx->n + soft->n; i++) mag[i] = 1; /* of dz and π a row's sizes add up to about 1 */
    CLOSE(results(got), results(dx), mag, dx->n, 8 * tol, 0, "head_back");
    CLOSE(results(got_soft), results(soft), mag, soft->n, 4 * tol, 0, "head_soft");
}

/* Sums over the vocabulary are the same bits in any number of threads. */
static void check_threads(const head *t) {
    int threads = kernels_threads();
    double *sums[2];
    for (int i = 0; i < 2; i++) {
        array *dx = blank(ACTS, t->n, t->d);
        kernels_set_threads(i ? 3 : 1);
        K->head_back(K, dx->p, &t->h, t->stats->p, NULL, t->n, NULL);
        sums[i] = results(dx);
    }
    kernels_set_threads(threads);
    CHECK(!kernels_exact_rows(K) || !memcmp(sums[0], sums[1], size(t->n, t->d) * sizeof *sums[0]));
}

static void head_once(int n, int d, int V, int mask, bool whole) {
    head *t = make_head(n, d, V, mask, whole);
    open_head(t);
    check_statistics(t);
    check_alone(t);
    check_sums(t);
    check_threads(t);
    end_round();
}

static void test_random(void **state) {
    (void)state;
    for (int r = 0; K->head && r < rounds; r++) {
        int V = r % 3 ? pick(2, 300) : pick(2000, 5000);
        head_once(pick(1, 20), pick(1, 70), V, pick(-1, V - 1), r % 2);
    }
}

/* More rows than a tile of two chunks has, and than go at once. */
static void test_tiles(void **state) {
    (void)state;
    static const int masks[] = {-1, 0, 2047, 2048, 4100, 6200};
    for (int i = 0; K->head && i < 6; i++) head_once(i % 2 ? 530 : 300, pick(1, 9), 6201, masks[i], i < 4);
}

/* A NaN or +inf wherever it stands spoils every row; ids that only have -inf spoil one, too. */
static void test_bad(void **state) {
    (void)state;
    static const int at[] = {0, 63, 64, 2047, 2048, 4999};
    for (int i = 0; K->head && i < 18; i++) {
        head *t = make_head(3, 4, 5000, 7, true);
        array *stats = raw(NULL, 3, sizeof(k_row_stats)), *top = raw(NULL, 3, sizeof(k_top));
        for (int v = 0; v < t->V && i >= 12; v++) t->bias[v] = v == 7 ? 1 : -INFINITY;
        if (i < 12) t->bias[at[i % 6]] = i < 6 ? NAN : INFINITY;
        open_head(t);
        K->head(K, stats->p, top->p, &t->h, 3);
        const k_row_stats *s = raw_results(stats), none = {.bad = 1};
        const k_top *best = raw_results(top);
        bool good = true;
        for (int r = 0; r < 3; r++) good = good && equal_stats(s + r, &none) && best[r].id[0] == -1;
        CHECK(good);
        end_round();
    }
}

/* The highest logit of all in a later chunk than others that are near it, equal to it, or far below. */
static void test_rising(void **state) {
    (void)state;
    static const float rise[] = {0, 1, 30, 699, 701, 3e38f};
    for (int i = 0; K->head && i < 6; i++) {
        head *t = make_head(2, 1, 4200, -1, true);
        for (int v = 0; v < t->V; v++) t->W[v] = 0, t->bias[v] = -INFINITY;
        t->bias[5] = -rise[i], t->bias[4199] = 0;
        array *stats = raw(NULL, 2, sizeof(k_row_stats)), *top = raw(NULL, 2, sizeof(k_top));
        open_head(t);
        K->head(K, stats->p, top->p, &t->h, 2);
        const k_row_stats *s = raw_results(stats);
        double q = exp(-(double)rise[i]), p = 1 / (1 + q),
               h = -log(p) + (q > 0 ? q * p * (double)rise[i] : 0);
        CHECK(fabs(s->entropy - h) < 1e-15 && (i < 4 || s->entropy == 0) && fabs(s->confidence - p) < 1e-15);
        CHECK(fabs(s->margin - (p - q * p)) < 1e-15 && s->argmax == (i ? 4199 : 5));
        const k_top *best = raw_results(top);
        CHECK(best->id[0] == (i ? 4199 : 5) && best->id[1] == (i ? 5 : 4199) && best->id[2] == -1);
        end_round();
    }
}

int main(int argc, char **argv) {
    int rc = open_device(argc, argv);
    if (rc) return rc;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_tiles),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_rising),
    };
    return close_device("head tiles", cmocka_run_group_tests(tests, NULL, NULL));
}
