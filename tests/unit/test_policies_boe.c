/* test_policies_boe.c - what BoE has beyond the paper: tokens that are put back, and a horizon of real steps.
 */
#include "policy_steps.h"

enum { N = 12 };

/* k tokens go back in each step but the last, those that were least probable when written; as many more are
 * written, so that the plan is kept. */
static void check_remask(const char *name, int k, int budget, int steps) {
    char back[12], b[12], s_text[12];
    snprintf(back, sizeof back, "%d", k);
    snprintf(b, sizeof b, "%d", budget);
    snprintf(s_text, sizeof s_text, "%d", steps);
    fake *f = fake_new(false, MOST_TOKENS);
    session *s = open_masks(&f->base, name, SET({"remask", back}, {"budget", b}, {"steps", s_text}), 2, N, 5);
    double written_p[N + 2] = {0};
    int masks = N, n, T = steps ? steps : (N + budget - 1) / budget, step = 0, seen = 0;
    for (const step_record *r; (r = propose(s)) != NULL; step++) {
        int quota = steps ? (masks + T - step - 1) / (T - step) : budget, clean = N - masks;
        int spare = masks - (quota < masks ? quota : masks), want = step == T - 1 ? 0 : k;
        if (want > clean) want = clean;
        if (want > spare) want = spare;
        CHECK(r->T == T && count_writes(r, true) == want);
        CHECK(count_writes(r, false) == (step == T - 1 ? masks : quota + want));
        double worst = 2;
        const int32_t *tokens = session_tokens(s, &n);
        for (int i = 0; i < r->n_writes; i++) { /* none that stays was less probable */
            if (r->writes[i].token != FAKE_MASK) continue;
            seen++;
            CHECK(near(r->writes[i].score, written_p[r->writes[i].pos], 0));
            for (int pos = 2; pos < N + 2; pos++) {
                bool goes = false;
                for (int j = 0; j < r->n_writes; j++) goes |= r->writes[j].pos == pos;
                if (tokens[pos] != FAKE_MASK && !goes) CHECK(written_p[pos] >= r->writes[i].score);
            }
            worst = fmin(worst, r->writes[i].score);
        }
        for (int i = 0; i < r->n_writes; i++) written_p[r->writes[i].pos] = r->writes[i].p;
        masks += count_writes(r, true) - count_writes(r, false);
        commit(s, r);
        record_unref(r);
    }
    CHECK(step == T && masks == 0 && session_done(s) && (seen > 0) == (k > 0 && T > 2));
    session_close(s);
    denoiser_close(&f->base);
}

static void test_remask(void **state) {
    (void)state;
    static const char *const names[] = {"boe", "boe-others", "boe-mid", "boe-rows", "boe-horizon"};
    for (int i = 0; i < 5; i++) {
        check_remask(names[i], 0, 1, 0);
        check_remask(names[i], 1, 1, 0);
        check_remask(names[i], 2, 3, 0);
        check_remask(names[i], 3, 1, 5);
        check_remask(names[i], 100, 1, 7);
    }
    /* Off, nothing is different. */
    outcome a = decode_masks("boe", NULL, NULL, N), b = decode_masks("boe", SET({"remask", "0"}), NULL, N);
    CHECK(memcmp(a.tokens, b.tokens, sizeof a.tokens) == 0 && a.steps == N);
}

/* Summed entropy of the masks of a sequence, and its most confident one with its token. */
static double total_of(const int32_t *tokens, int n, int *pos, int32_t *token) {
    fake *f = fake_new(false, MOST_TOKENS);
    pass *p = pass_new();
    row_ref rows[MOST_TOKENS];
    err e = {0};
    sequence seq = {tokens, n};
    forward_req q = {.seqs = &seq, .n_seqs = 1, .rows = rows};
    double sum = 0, best = -1;
    for (int i = 0; i < n; i++) {
        if (tokens[i] == FAKE_MASK) rows[q.n_rows++] = (row_ref){0, i};
    }
    if (q.n_rows) MUST(denoiser_forward(&f->base, &q, p, &e), &e);
    for (int i = 0; i < q.n_rows; i++) {
        const k_row_stats *st = pass_stats(p, i);
        sum += st->entropy;
        if (st->confidence > best) best = st->confidence, *pos = rows[i].pos, *token = st->argmax;
    }
    pass_free(p);
    denoiser_close(&f->base);
    return sum;
}

static void check_horizon(int horizon) {
    char text[12];
    snprintf(text, sizeof text, "%d", horizon);
    fake *f = fake_new(false, MOST_TOKENS);
    session *s =
        open_masks(&f->base, "boe-horizon", SET({"horizon", text}, {"rho", "1"}, {"width", "4"}), 2, 8, 5);
    session *boe = open_masks(&f->base, "boe", SET({"rho", "1"}), 2, 8, 5);
    for (const step_record *r; (r = propose(s)) != NULL;) {
        int n, pos = 0, masks = r->n_masked, looks = 0;
        int32_t token = 0;
        const int32_t *start = session_tokens(s, &n);
        const step_record *plain = propose(boe);
        CHECK(r->n_cand == (masks < 4 ? masks : 4) && (!r->penalty || masks == 1) && r->n_writes == 1);
        for (int i = 0; i < r->n_cand; i++) {
            int c = record_cand_index(plain, r->cand[i]), better = 0;
            for (int j = 0; j < plain->n_cand; j++) better += plain->score[j] > plain->score[c];
            CHECK(better < 4 && near(r->tis[i], plain->tis[c], 0)); /* the best four by BoE */
            int32_t tokens[MOST_TOKENS];
            memcpy(tokens, start, (size_t)n * sizeof *tokens);
            tokens[r->cand[i]] = r->argmax[record_masked_index(r, r->cand[i])];
            double left = 0;
            for (int k = 0; k < horizon; k++) {
                if (k) tokens[pos] = token;
                left = total_of(tokens, n, &pos, &token);
                looks += masks - 1 - k > 0;
                if (masks - 1 - k <= 0) break;
            }
            if (masks > 1) CHECK(near(r->score[i], r->total_entropy - left, 1e-5));
            CHECK(r->writes[0].score >= r->score[i]);
        }
        if (masks > 1) CHECK(near(r->nfe, 1 + looks, 0));
        commit(s, r);
        commit(boe, r);
        record_unref(plain);
        record_unref(r);
    }
    session_close(s);
    session_close(boe);
    denoiser_close(&f->base);
}

/* Candidates of a step, best score first. */
static void best_first(const step_record *r, int *order) {
    for (int i = 0; i < r->n_cand; i++) {
        int at = 0;
        for (int j = 0; j < r->n_cand; j++) at += r->score[j] > r->score[i];
        order[at] = r->cand[i];
    }
}

/* Futures write the best candidates, and each another one last: the one after which the least is left. */
static int best_last(const step_record *r, const int32_t *start, int n, const int *order, int budget,
                     int futures) {
    double least = INFINITY;
    int best = budget - 1;
    for (int last = budget - 1; last < budget - 1 + futures; last++) {
        int32_t tokens[MOST_TOKENS], token;
        int pos;
        memcpy(tokens, start, (size_t)n * sizeof *tokens);
        for (int k = 0; k < budget; k++) {
            int at = order[k < budget - 1 ? k : last];
            tokens[at] = r->argmax[record_masked_index(r, at)];
        }
        double left = total_of(tokens, n, &pos, &token);
        if (left < least) least = left, best = last;
    }
    return best;
}

static void check_horizon_sets(int budget) {
    char text[12];
    snprintf(text, sizeof text, "%d", budget);
    fake *f = fake_new(false, MOST_TOKENS);
    session *s = open_masks(&f->base, "boe-horizon",
                            SET({"horizon", "1"}, {"rho", "1"}, {"width", "3"}, {"budget", text}), 2, N, 5);
    session *boe = open_masks(&f->base, "boe", SET({"rho", "1"}, {"budget", text}), 2, N, 5);
    for (const step_record *r; (r = propose(s)) != NULL;) {
        int n, order[N], futures = r->n_masked - budget + 1;
        const int32_t *start = session_tokens(s, &n);
        const step_record *plain = propose(boe);
        best_first(plain, order);
        if (futures > 3) futures = 3;
        CHECK(near(r->nfe, futures > 1 ? 1 + futures : 1, 0));
        if (futures > 1) order[budget - 1] = order[best_last(r, start, n, order, budget, futures)];
        for (int i = 0; i < r->n_writes; i++) {
            int k = 0;
            while (k < r->n_writes && order[k] != r->writes[i].pos) k++;
            CHECK(k < r->n_writes);
        }
        commit(s, r);
        commit(boe, r);
        record_unref(plain);
        record_unref(r);
    }
    session_close(s);
    session_close(boe);
    denoiser_close(&f->base);
}

static void test_horizon(void **state) {
    (void)state;
    for (int h = 1; h <= 3; h++) check_horizon(h);
    for (int b = 1; b <= 5; b++) check_horizon_sets(b);
    /* One future is what BoE would do anyway, and costs nothing more. */
    outcome a = decode_masks("boe-horizon", SET({"width", "1"}), NULL, N),
            b = decode_masks("boe", NULL, NULL, N);
    CHECK(near(a.nfe, b.nfe, 0) && memcmp(a.tokens, b.tokens, sizeof a.tokens) == 0);
}

/* candidate-rule auto: by confidence, on until one's |TIS| through the masked rows is below the bound. */
static void check_auto(const char *name, double bound) {
    char text[32];
    snprintf(text, sizeof text, "%.17g", bound);
    fake *f = fake_new(false, MOST_TOKENS);
    session *s =
        open_masks(&f->base, name, SET({"candidate-rule", "auto"}, {"candidate-bound", text}), 2, N, 5);
    session *all = open_masks(&f->base, "boe", SET({"candidate-rule", "all"}, {"active", "masked"}), 2, N, 5);
    for (const step_record *r; (r = propose(s)) != NULL;) {
        const step_record *known = propose(all);
        int order[N], n = 1;
        for (int i = 0; i < r->n_masked; i++) {
            int at = 0;
            for (int j = 0; j < r->n_masked; j++) at += r->confidence[j] > r->confidence[i];
            order[at] = i;
        }
        while (n < r->n_masked && fabs(known->tis[order[n]]) >= bound) n++;
        CHECK(r->n_cand == n);
        for (int i = 0; i < n; i++) CHECK(record_cand_index(r, r->masked[order[i]]) >= 0);
        CHECK(r->backward_rows >= r->n_masked);
        commit(s, r);
        commit(all, r);
        record_unref(known);
        record_unref(r);
    }
    session_close(s);
    session_close(all);
    denoiser_close(&f->base);
}

static void test_auto(void **state) {
    (void)state;
    static const char *const names[] = {"boe", "boe-others", "boe-mid", "boe-rows", "oracle"};
    for (int i = 0; i < 5; i++) {
        check_auto(names[i], 0.05);
        check_auto(names[i], 0);
        check_auto(names[i], 0.4);
        check_auto(names[i], 1000);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_remask), cmocka_unit_test(test_horizon),
                                       cmocka_unit_test(test_auto)};
    return finish("policies_boe", cmocka_run_group_tests(tests, NULL, NULL));
}
