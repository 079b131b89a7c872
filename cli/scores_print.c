/* scores_print.c - the scores of one state as a JSON object and as a table. */
#include "cli/scores.h"

#include <math.h>
#include <string.h>

#include "cli/doc.h"

/* JSON ------------------------------------------------------------------ */

static void doc_logits(doc *j, const scores *s) {
    const denoiser_info *info = denoiser_get_info(s->m.d);
    doc_array(j, "logits");
    for (int r = 0; r < s->rec->n_masked; r++) {
        const float *z = pass_logits(s->p, r);
        doc_array(j, NULL);
        for (int v = 0; v < info->n_vocab; v++) {
            if (v != info->mask_id) doc_float(j, NULL, z[v]);
        }
        doc_end(j);
    }
    doc_end(j);
}

static void doc_matrix(doc *j, const char *key, const double *m, int rows, int columns) {
    doc_array(j, key);
    for (int r = 0; r < rows; r++) doc_reals(j, NULL, m + (size_t)r * (size_t)columns, columns);
    doc_end(j);
}

static void doc_attention(doc *j, const scores *s) {
    int heads = denoiser_get_info(s->m.d)->n_heads;
    const float *p = s->attention;
    doc_int(j, "attention_layer", s->layer);
    doc_array(j, "attention");
    for (int i = 0; i < s->rec->n_cand; i++) {
        doc_array(j, NULL);
        for (int h = 0; h < heads; h++, p += s->n_tokens) {
            doc_array(j, NULL);
            for (int k = 0; k < s->n_tokens; k++) doc_float(j, NULL, p[k]);
            doc_end(j);
        }
        doc_end(j);
    }
    doc_end(j);
}

/* null where a correlation does not exist. */
static void doc_correlations(doc *j, const scores *s) {
    doc_object(j, "correlations");
    for (int i = 0; i < s->n_triples; i++) {
        const triple_result *t = &s->triples[i];
        doc_object(j, t->name);
        doc_real(j, "spearman_relaxed", t->spearman_relaxed);
        doc_real(j, "kendall_relaxed", t->kendall_relaxed);
        doc_real(j, "spearman_discrete", t->spearman_discrete);
        doc_real(j, "kendall_discrete", t->kendall_discrete);
        doc_end(j);
    }
    doc_end(j);
}

/* Of each triple: the candidates that every chosen one beats by more than the bound. */
static void doc_margins(doc *j, const scores *s) {
    int n = s->rec->n_cand;
    doc_reals(j, "curvature", s->curvature, n);
    doc_real(j, "curvature_bound_estimated", s->bound);
    doc_array(j, "chosen");
    for (int i = 0; i < n; i++) {
        if (s->chosen[i]) doc_int(j, NULL, s->rec->cand[i]);
    }
    doc_end(j);
    doc_object(j, "stable_estimated");
    for (int i = 0; i < s->n_triples; i++) {
        doc_array(j, s->triples[i].name);
        for (int k = 0; k < n; k++) {
            if (score_stable(s->triples[i].tis, s->chosen, n, s->bound, k)) doc_int(j, NULL, s->rec->cand[k]);
        }
        doc_end(j);
    }
    doc_end(j);
}

static void doc_truth(doc *j, const scores *s) {
    int n = s->rec->n_cand;
    doc_correlations(j, s);
    doc_margins(j, s);
    doc_reals(j, "reduction_soft", s->soft_red, n);
    doc_reals(j, "reduction_hard_expected", s->hard_red, n);
    doc_string(j, "reduction_hard_method", s->enumerated ? "enumerated" : "sampled");
    if (s->enumerated) return;
    doc_reals(j, "reduction_hard_standard_error", s->hard_se, n);
    doc_int(j, "reduction_hard_samples", s->samples);
}

int scores_print_json(const scores *s, err *e) {
    const step_record *r = s->rec;
    const cli_policy *c = &s->args.policies[0];
    int rho = param_find(&c->params, "rho");
    doc j;
    doc_init(&j);
    doc_object(&j, NULL);
    doc_string(&j, "model", denoiser_get_info(s->m.d)->name);
    doc_string(&j, "policy", c->policy->name);
    doc_params(&j, "params", &c->params);
    doc_ids(&j, "tokens", s->tokens, s->n_tokens);
    doc_ints(&j, "masked", r->masked, r->n_masked);
    doc_ints(&j, "candidates", r->cand, r->n_cand);
    if (rho >= 0) doc_real(&j, "rho", c->params.v[rho]);
    doc_int(&j, "budget", s->dec.budget);
    doc_int(&j, "t", r->t);
    doc_int(&j, "T", r->T);
    if (s->logits) doc_logits(&j, s);
    doc_reals(&j, "entropy", r->entropy, r->n_masked);
    doc_real(&j, "total_entropy", r->total_entropy);
    doc_reals(&j, "confidence", r->confidence, r->n_masked);
    doc_reals(&j, "margin", r->margin, r->n_masked);
    doc_ids(&j, "argmax", r->argmax, r->n_masked);
    doc_reals(&j, "gate", s->gate, r->n_cand);
    doc_reals(&j, "delta_e_norm", s->delta_norm, r->n_cand);
    doc_object(&j, "tis");
    for (int i = 0; i < s->n_triples; i++) doc_reals(&j, s->triples[i].name, s->triples[i].tis, r->n_cand);
    doc_end(&j);
    doc_reals(&j, "self_row_local", s->self, r->n_cand);
    if (s->D) doc_matrix(&j, "influence", s->D, r->n_masked, r->n_cand);
    if (s->attention) doc_attention(&j, s);
    if (s->truth) doc_truth(&j, s);
    doc_real(&j, "lambda_t", r->lambda_t);
    doc_real(&j, "h_t", r->h_t);
    if (r->penalty) doc_reals(&j, "penalty", r->penalty, r->n_cand);
    doc_reals(&j, "score", r->score, r->n_cand);
    doc_real(&j, "nfe", 1.0 + s->dec.cost.forwards);
    doc_int(&j, "backward_rows", s->dec.cost.backward_rows);
    doc_end(&j);
    return doc_print(&j, e);
}

/* Table ----------------------------------------------------------------- */

static void print_token(const scores *s, int32_t id, int width) {
    token_texts texts = model_texts(&s->m);
    size_t len = 0;
    const char *text = texts.text(texts.ctx, id, &len, NULL);
    char number[16];
    snprintf(number, sizeof number, "#%d", (int)id);
    strbuf clean;
    strbuf_init(&clean, 1 << 20);
    if (text) {
        text_clean(&clean, text, len, false);
    } else {
        strbuf_puts(&clean, number);
    }
    int columns = 0; /* characters stand in for columns; the table is for reading, not for parsing */
    size_t end = 0;
    while (end < clean.len && columns < width) {
        end++;
        while (end < clean.len && ((unsigned char)clean.data[end] & 0xc0) == 0x80) end++;
        columns++;
    }
    printf("%.*s%*s", (int)end, clean.data, width - columns, "");
    cli_check_shown(&clean);
    strbuf_release(&clean);
}

/* Rank of candidate i: 1 is the best, ties go to the lower position. */
static int rank_of(const step_record *r, int i) {
    int rank = 1;
    for (int k = 0; k < r->n_cand; k++)
        rank += r->score[k] > r->score[i] || (!(r->score[k] < r->score[i]) && k < i);
    return rank;
}

static void print_candidate(const scores *s, int i) {
    printf(" %7.4f %9.4f", s->gate[i], s->delta_norm[i]);
    for (int k = 0; k < s->n_triples; k++) {
        int width = (int)strlen(s->triples[k].name);
        printf("  %*.6f", width < 11 ? 11 : width, s->triples[k].tis[i]);
    }
    if (s->truth) printf(" %12.6f %12.6f", s->soft_red[i], s->hard_red[i]);
    printf(" %12.6f %5d", s->rec->score[i], rank_of(s->rec, i));
}

static void print_correlations(const scores *s, const triple_result *t) {
    int n = s->rec->n_cand, stable = 0, others = 0;
    for (int k = 0; k < n; k++) {
        others += !s->chosen[k];
        stable += score_stable(t->tis, s->chosen, n, s->bound, k);
    }
    printf("%s: ", t->name);
    if (isfinite(t->spearman_relaxed)) {
        printf("Spearman %+.3f relaxed, %+.3f discrete; Kendall %+.3f, %+.3f; ", t->spearman_relaxed,
               t->spearman_discrete, t->kendall_relaxed, t->kendall_discrete);
    } else {
        printf("no rank correlation; ");
    }
    printf("stable (estimated) over %d of %d\n", stable, others);
}

static void print_truth(const scores *s) {
    printf("\ndiscrete reductions %s; curvature bound %.6g nats, estimated\n",
           s->enumerated ? "enumerated" : "sampled", s->bound);
    for (int i = 0; i < s->n_triples; i++) print_correlations(s, &s->triples[i]);
}

void scores_print_table(const scores *s) {
    const step_record *r = s->rec;
    printf("policy %s, step %d of %d, budget %d, %d masked, %d candidates, total entropy %.4f nats\n",
           s->args.policies[0].policy->name, r->step + 1, r->T, s->dec.budget, r->n_masked, r->n_cand,
           r->total_entropy);
    printf("%8s  %-12s %8s %10s %7s %9s", "position", "token", "entropy", "confidence", "gate", "|delta e|");
    for (int k = 0; k < s->n_triples; k++) printf("  %11s", s->triples[k].name);
    if (s->truth) printf(" %12s %12s", "relaxed", "discrete");
    printf(" %12s %5s\n", "score", "rank");
    for (int i = 0; i < r->n_masked; i++) {
        printf("%8d  ", r->masked[i]);
        print_token(s, r->argmax[i], 12);
        printf(" %8.4f %10.4f", r->entropy[i], r->confidence[i]);
        int c = record_cand_index(r, r->masked[i]);
        if (c >= 0) print_candidate(s, c);
        putchar('\n');
    }
    if (s->truth) print_truth(s);
}
