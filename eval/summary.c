/* summary.c - sums over the examples of each configuration. */
#include "eval/summary.h"

#include <math.h>
#include <stdlib.h>

#include "engine/base/mem.h"

/* The mean of what was measured; NaN when nothing was. */
typedef struct mean {
    double sum;
    int n;
} mean;

static void mean_add(mean *m, double v) {
    if (isnan(v)) return;
    m->sum += v;
    m->n++;
}

static double mean_of(mean m) {
    return m.n ? m.sum / m.n : NAN;
}

static const outcome *outcome_at(const eval_plan *p, const outcome *o, int x, int c) {
    return &o[x * p->n_configs + c];
}

static void sum_row(summary_row *r, const eval_plan *p, const outcome *outcomes, int c) {
    mean nfe = {0}, rows = {0}, rate = {0}, elbo = {0}, judge = {0}, entropy = {0}, diversity = {0};
    *r = (summary_row){.config = &p->configs[c]};
    bool judged = false, looked = false;
    for (int x = 0; x < p->examples.n; x++) {
        const outcome *o = outcome_at(p, outcomes, x, c);
        if (!o->known) continue;
        r->n++;
        judged |= o->verdict != VERDICT_NONE;
        r->correct += o->verdict == VERDICT_RIGHT;
        r->seconds += o->seconds;
        r->over += o->over;
        looked |= o->nfe > o->steps;
        mean_add(&nfe, o->nfe);
        mean_add(&rows, (double)o->backward_rows);
        mean_add(&rate, o->rate);
        mean_add(&elbo, o->elbo);
        mean_add(&judge, o->judge);
        mean_add(&entropy, o->entropy);
        mean_add(&diversity, o->diversity);
    }
    r->accuracy = judged ? (double)r->correct / r->n : NAN;
    r->ci = judged ? stats_wilson(r->correct, r->n) : (interval){NAN, NAN};
    if (!judged) r->correct = -1;
    r->blind = r->n && r->config->policy->looks_ahead && !looked;
    r->nfe = mean_of(nfe);
    r->backward_rows = mean_of(rows);
    r->rate = mean_of(rate);
    r->perplexity = exp(mean_of(elbo));
    r->judge_perplexity = exp(mean_of(judge));
    r->entropy = mean_of(entropy);
    r->diversity = mean_of(diversity);
}

/* Comparable: only the policy differs. What was asked for counts, not what matching made of it. */
static bool same_setting(const eval_config *a, const eval_config *b) {
    return a->length == b->length && a->seed == b->seed && config_rate(a) == config_rate(b);
}

static int compare(summary_pair *q, const eval_plan *p, const outcome *outcomes, int a, int b, err *e) {
    double *d = mem_new((size_t)p->examples.n, sizeof *d);
    if (!d) return err_set(e, ERR_NO_MEMORY, "out of memory for %d differences", p->examples.n);
    for (int x = 0; x < p->examples.n; x++) {
        const outcome *oa = outcome_at(p, outcomes, x, a), *ob = outcome_at(p, outcomes, x, b);
        if (!oa->known || !ob->known || oa->verdict == VERDICT_NONE || ob->verdict == VERDICT_NONE) continue;
        int diff = (ob->verdict == VERDICT_RIGHT) - (oa->verdict == VERDICT_RIGHT);
        q->only_a += diff < 0;
        q->only_b += diff > 0;
        d[q->n++] = diff;
    }
    q->difference = q->n ? (double)(q->only_b - q->only_a) / q->n : NAN;
    q->p = stats_mcnemar(q->only_a, q->only_b);
    q->ci = stats_bootstrap(d, q->n, STATS_DRAWS, 0);
    free(d);
    return 0;
}

static int add_pairs(summary *s, const eval_plan *p, const outcome *outcomes, err *e) {
    int rc = 0;
    for (int b = 1; b < s->n_rows && !rc; b++) {
        for (int a = 0; a < b; a++) {
            if (!same_setting(s->rows[a].config, s->rows[b].config)) continue;
            if (s->rows[a].correct < 0 || s->rows[b].correct < 0) break;
            summary_pair *q = &s->pairs[s->n_pairs++];
            *q = (summary_pair){.a = &s->rows[a], .b = &s->rows[b]};
            rc = compare(q, p, outcomes, a, b, e);
            break;
        }
    }
    return rc;
}

int summary_make(summary *s, const eval_plan *p, const outcome *outcomes, err *e) {
    *s = (summary){.rows = mem_new((size_t)p->n_configs, sizeof *s->rows),
                   .pairs = mem_new((size_t)p->n_configs, sizeof *s->pairs)};
    int rc = s->rows && s->pairs ? 0 : err_set(e, ERR_NO_MEMORY, "out of memory for %d rows", p->n_configs);
    if (!rc) {
        s->n_rows = p->n_configs;
        for (int c = 0; c < p->n_configs; c++) sum_row(&s->rows[c], p, outcomes, c);
        rc = add_pairs(s, p, outcomes, e);
    }
    if (rc) summary_release(s);
    return rc;
}

void summary_release(summary *s) {
    free(s->rows);
    free(s->pairs);
    *s = (summary){0};
}

bool summary_is_best(const summary *s, int row) {
    const summary_row *r = &s->rows[row];
    for (int i = 0; i < s->n_rows; i++) {
        const summary_row *o = &s->rows[i];
        bool no_worse = o->accuracy >= r->accuracy && o->nfe <= r->nfe;
        if (no_worse && (o->accuracy > r->accuracy || o->nfe < r->nfe)) return false;
    }
    return !isnan(r->accuracy);
}
