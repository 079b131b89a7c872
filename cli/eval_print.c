/* eval_print.c - the same rows in three forms. */
#include "cli/eval_print.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/doc.h"
#include "engine/base/outfile.h"

/* Table ---------------------------------------------------------------- */

static const summary_pair *pair_of(const summary *s, const summary_row *b) {
    for (int i = 0; i < s->n_pairs; i++) {
        if (s->pairs[i].b == b) return &s->pairs[i];
    }
    return NULL;
}

/* Columns that are the same in every row are left out. */
typedef struct columns {
    int label;
    bool length, seed, judged, text, judge, over;
} columns;

static columns choose_columns(const eval_plan *p, const summary *s) {
    columns c = {.label = 6, .text = p->task->text};
    for (int i = 0; i < s->n_rows; i++) {
        const summary_row *r = &s->rows[i];
        int len = (int)strlen(r->config->label);
        if (len > c.label) c.label = len;
        c.length |= r->config->length != s->rows[0].config->length;
        c.seed |= r->config->seed != s->rows[0].config->seed;
        c.judged |= r->correct >= 0;
        c.judge |= !isnan(r->judge_perplexity);
        c.over |= r->over > 0;
    }
    return c;
}

static void print_head(const columns *c) {
    printf("%-*s", c->label, "policy");
    if (c->length) printf("  %6s", "length");
    printf("  %6s", "t/step");
    if (c->seed) printf("  %6s", "seed");
    printf(c->judged ? "  %9s  %5s  %-13s" : "  %9s", c->judged ? "right" : "texts", "%", "95 %");
    if (c->text) printf("  %9s", "ELBO ppl");
    if (c->judge) printf("  %9s", "judge ppl");
    if (c->text) printf("  %7s  %9s", "entropy", "diversity");
    printf("  %8s  %8s  %7s", "NFE", "rows", "s");
    if (c->judged) printf("  %7s", "p");
    if (c->over) printf("  %6s", "over");
    putchar('\n');
}

static void print_judged(const summary_row *r) {
    printf("  %4d/%-4d  %5.1f  %5.1f - %5.1f", r->correct, r->n, 100 * r->accuracy, 100 * r->ci.low,
           100 * r->ci.high);
}

/* What was not measured is a dash. */
static void print_real(int width, double v) {
    if (isnan(v)) {
        printf("  %*s", width, "-");
    } else {
        printf("  %*.4g", width, v);
    }
}

static void print_row(const columns *c, const summary *s, int i) {
    const summary_row *r = &s->rows[i];
    const summary_pair *q = pair_of(s, r);
    printf("%-*s", c->label, r->config->label);
    if (c->length) printf("  %6d", r->config->length);
    printf("  %6.3g", r->rate);
    if (c->seed) printf("  %6" PRIu64, r->config->seed);
    if (c->judged) {
        print_judged(r);
    } else {
        printf("  %9d", r->n);
    }
    if (c->text) print_real(9, r->perplexity);
    if (c->judge) print_real(9, r->judge_perplexity);
    if (c->text) print_real(7, r->entropy);
    if (c->text) print_real(9, r->diversity);
    printf("  %8.1f  %8.1f  %7.3f", r->nfe, r->backward_rows, r->n ? r->seconds / r->n : 0);
    if (c->judged && q) printf("  %7.3g", q->p);
    if (c->judged && !q) printf("  %7s", "");
    if (c->over) printf("  %6d", r->over);
    puts(c->judged && summary_is_best(s, i) ? " *" : "");
}

static void note_blind(const summary *s) {
    for (int i = 0; i < s->n_rows; i++) {
        const summary_row *r = &s->rows[i];
        if (r->blind)
            printf("%s at %.3g tokens per step looked at nothing ahead: no step had more than one choice\n",
                   r->config->label, r->rate);
    }
}

static void explain_judged(const columns *c, const summary *s) {
    puts("\nt/step: tokens per step; 95 %: Wilson interval; NFE, rows (backward) and s per example; *: no "
         "row is better in both "
         "accuracy and NFE");
    if (s->n_pairs) /* not the first row, where a preset has it write more tokens per step than others */
        printf("p: exact McNemar test against %s on the same examples\n", s->pairs[0].a->config->label);
    if (c->over) puts("over: examples that no number of tokens per step keeps within the budget");
}

void eval_print_table(const eval_plan *p, const summary *s) {
    columns c = choose_columns(p, s);
    print_head(&c);
    for (int i = 0; i < s->n_rows; i++) print_row(&c, s, i);
    if (c.judged) explain_judged(&c, s);
    note_blind(s);
}

/* CSV ------------------------------------------------------------------ */

static void csv_real(double v) {
    if (isnan(v)) {
        putchar(',');
    } else {
        printf(",%.10g", v);
    }
}

void eval_print_csv(const eval_plan *p, const summary *s) {
    puts("policy,task,length,tokens_per_step,seed,n,correct,accuracy,ci_low,ci_high,nfe,backward_rows,"
         "seconds,p_mcnemar,"
         "elbo_perplexity,judge_perplexity,entropy,diversity,p_against");
    for (int i = 0; i < s->n_rows; i++) {
        const summary_row *r = &s->rows[i];
        const summary_pair *q = pair_of(s, r);
        printf("%s,%s,%d,%.10g,%" PRIu64 ",%d,", r->config->label, p->task->name, r->config->length, r->rate,
               r->config->seed, r->n);
        if (r->correct >= 0) printf("%d", r->correct);
        const double reals[] = {r->accuracy,         r->ci.low,  r->ci.high,     r->nfe,
                                r->backward_rows,    r->seconds, q ? q->p : NAN, r->perplexity,
                                r->judge_perplexity, r->entropy, r->diversity};
        for (size_t k = 0; k < sizeof reals / sizeof reals[0]; k++) csv_real(reals[k]);
        printf(",%s\n", q ? q->a->config->label : "");
    }
}

/* JSON ----------------------------------------------------------------- */

/* Readers that keep numbers as doubles lose digits above 2^53: a string then, as in recordings. */
static void doc_seed(doc *j, uint64_t seed) {
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, seed);
    if (seed > UINT64_C(1) << 53) {
        doc_string(j, "seed", text);
    } else {
        doc_uint(j, "seed", seed);
    }
}

static void doc_row(doc *j, const eval_plan *p, const summary_row *r) {
    doc_object(j, NULL);
    doc_string(j, "policy", r->config->label);
    doc_string(j, "task", p->task->name);
    doc_int(j, "n", r->n);
    if (r->correct >= 0) {
        doc_int(j, "correct", r->correct);
    } else {
        doc_null(j, "correct");
    }
    doc_real(j, "accuracy", r->accuracy);
    doc_real(j, "ci_low", r->ci.low);
    doc_real(j, "ci_high", r->ci.high);
    doc_real(j, "nfe", r->nfe);
    doc_real(j, "backward_rows", r->backward_rows);
    doc_real(j, "seconds", r->seconds);
    doc_real(j, "tokens_per_step", r->rate);
    doc_seed(j, r->config->seed);
    doc_int(j, "length", r->config->length);
    doc_int(j, "over_budget", r->over);
    if (p->task->text) {
        doc_real(j, "elbo_perplexity", r->perplexity);
        doc_real(j, "judge_perplexity", r->judge_perplexity);
        doc_real(j, "entropy", r->entropy);
        doc_real(j, "diversity", r->diversity);
    }
    doc_params(j, "params", &r->config->params);
    doc_end(j);
}

static void doc_pair(doc *j, const summary_pair *q) {
    doc_object(j, NULL);
    doc_string(j, "a", q->a->config->label);
    doc_string(j, "b", q->b->config->label);
    doc_int(j, "length", q->a->config->length);
    doc_real(j, "tokens_per_step", config_rate(q->a->config));
    doc_seed(j, q->a->config->seed);
    doc_int(j, "n", q->n);
    doc_int(j, "only_a", q->only_a);
    doc_int(j, "only_b", q->only_b);
    doc_real(j, "difference", q->difference);
    doc_real(j, "ci_low", q->ci.low);
    doc_real(j, "ci_high", q->ci.high);
    doc_real(j, "p_mcnemar", q->p);
    doc_end(j);
}

int eval_print_json(const eval_plan *p, const model *m, const summary *s, err *e) {
    const denoiser_info *info = denoiser_get_info(m->d);
    doc j;
    doc_init(&j);
    doc_object(&j, NULL);
    doc_object(&j, "model");
    doc_string(&j, "name", info->name);
    doc_string(&j, "fingerprint", info->fingerprint);
    doc_end(&j);
    doc_array(&j, "results");
    for (int i = 0; i < s->n_rows; i++) doc_row(&j, p, &s->rows[i]);
    doc_end(&j);
    doc_array(&j, "pairs");
    for (int i = 0; i < s->n_pairs; i++) doc_pair(&j, &s->pairs[i]);
    doc_end(&j);
    doc_end(&j);
    return doc_print(&j, e);
}

/* Files ---------------------------------------------------------------- */

int eval_write_file(const char *path, const strbuf *text, err *e) {
    return outfile_write(path, text, e);
}

/* "a.jsonl" -> "a-boe-length64-2-seed0.jsonl" */
static void samples_name(const char *path, const eval_config *c, strbuf *out) {
    const char *slash = strrchr(path, '/'), *dot = strrchr(path, '.');
    size_t stem = dot && dot > (slash ? slash + 1 : path) ? (size_t)(dot - path) : strlen(path);
    char label[EVAL_LABEL];
    snprintf(label, sizeof label, "%s", c->label);
    for (char *s = label; *s; s++) {
        if (*s == ' ' || *s == '=') *s = '-';
    }
    strbuf_add(out, path, stem);
    strbuf_printf(out, "-%s-length%d-%d-seed%" PRIu64 "%s", label, c->length, config_rate(c), c->seed,
                  path + stem);
}

static int samples_text(const eval_plan *p, const outcome *outcomes, int c, strbuf *out, err *e) {
    int rc = 0;
    for (int x = 0; x < p->examples.n && !rc; x++) {
        const outcome *o = &outcomes[x * p->n_configs + c];
        if (o->known && o->text)
            rc = task_sample(p->task, &p->examples.items[x], o->text, strlen(o->text), out, e);
    }
    return rc;
}

int eval_write_samples(const char *path, const eval_plan *p, const outcome *outcomes, err *e) {
    int rc = 0;
    for (int c = 0; c < p->n_configs && !rc; c++) {
        strbuf text, name;
        strbuf_init(&text, SIZE_MAX / 4);
        strbuf_init(&name, 8192);
        if (p->n_configs > 1) {
            samples_name(path, &p->configs[c], &name);
        } else {
            strbuf_puts(&name, path);
        }
        rc = samples_text(p, outcomes, c, &text, e);
        if (!rc) rc = eval_write_file(name.data, &text, e);
        strbuf_release(&text);
        strbuf_release(&name);
    }
    return rc;
}
