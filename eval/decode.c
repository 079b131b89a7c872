/* decode.c - sessions for items.
 *
 * Where forwards are matched, the fewest tokens per step are looked for whose decode keeps within the budget:
 * 1, 2, 4, ... until one does, then by halves in between. Fewer tokens per step are taken to cost more, which
 * fails where a step has nothing left to look ahead for. What the search itself computes is not counted. */
#include "eval/decode.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/mem.h"
#include "engine/base/rng.h"
#include "eval/data.h"
#include "eval/quality.h"

/* Prompts -------------------------------------------------------------- */

static int check_room(const eval_plan *p, const model *m, const int32_t *ids, int n, err *e) {
    const denoiser_info *info = denoiser_get_info(m->d);
    int gaps = 0;
    for (int i = 0; i < n; i++) gaps += ids[i] == info->mask_id;
    for (int c = 0; c < p->n_configs; c++) {
        int length = p->configs[c].length;
        if (n + length > info->max_len)
            return err_set(e, ERR_BAD_ARGUMENT,
                           "a prompt of %d tokens and %d to generate exceed the context of %d", n, length,
                           info->max_len);
        if (gaps + length == 0) return err_set(e, ERR_BAD_ARGUMENT, "nothing to generate: give --lengths");
    }
    return 0;
}

int prompts_make(eval_prompts *out, const eval_plan *p, const model *m, err *e) {
    *out = (eval_prompts){mem_new((size_t)p->examples.n, sizeof *out->ids),
                          mem_new((size_t)p->examples.n, sizeof(int))};
    int rc =
        out->ids && out->n ? 0 : err_set(e, ERR_NO_MEMORY, "out of memory for %d prompts", p->examples.n);
    for (int i = 0; i < p->examples.n && !rc; i++) {
        const example *x = &p->examples.items[i];
        rc = model_prompt(m, x->prompt, strlen(x->prompt), &out->ids[i], &out->n[i], e);
        if (!rc) rc = check_room(p, m, out->ids[i], out->n[i], e);
        if (rc) err_prefix(e, "example %s", x->id);
    }
    if (rc) prompts_release(out, p);
    return rc;
}

void prompts_release(eval_prompts *t, const eval_plan *p) {
    for (int i = 0; t->ids && i < p->examples.n; i++) free(t->ids[i]);
    free(t->ids);
    free(t->n);
    *t = (eval_prompts){0};
}

/* One decode ----------------------------------------------------------- */

typedef struct decoded {
    int32_t *tokens; /* owned */
    int n, steps, masks;
    double nfe, charged, seconds; /* charged: what the budget is held against */
    int64_t rows;
    bool cut; /* given up, over the limit */
} decoded;

static void count_step(const eval_costs *costs, const step_record *r, int n_tokens, decoded *out) {
    bool counted_twice = costs->paper && r->tis_name && !strncmp(r->tis_name, "mask/", 5);
    double nfe = r->nfe + (counted_twice ? 1 : 0);
    out->nfe += nfe;
    out->charged += nfe + (costs->charge_backward ? 2.0 * (double)r->backward_rows / n_tokens : 0);
    out->rows += r->backward_rows;
    out->steps++;
}

static int all_steps(const decoder *w, session *s, double limit, decoded *out, err *e) {
    int n, rc = 0;
    session_tokens(s, &n);
    while (!rc && !session_done(s) && !out->cut) {
        const step_record *r = NULL;
        rc = session_propose(s, &r, e);
        if (rc || !r) break;
        count_step(&w->plan->costs, r, n, out);
        out->cut = limit > 0 && out->charged > limit;
        rc = session_commit(s, r, e);
        record_unref(r);
    }
    return rc;
}

/* Free texts from equal prompts must differ, so there each example has a seed of its own; elsewhere `tabes
 * run` with the same seed gives the same answer. */
static uint64_t session_seed(const eval_plan *p, int item) {
    uint64_t seed = p->configs[plan_config(p, item)].seed;
    return p->task->text ? rng_bits(seed, 0, (uint64_t)plan_example(p, item), 0, RNG_PATH) : seed;
}

/* Decodes an item with `rate` tokens per step (0: as its parameters say), giving up once the limit (0: none)
 * is passed. */
static int decode_once(const decoder *w, int item, int rate, double limit, decoded *out, err *e) {
    eval_config c = w->plan->configs[plan_config(w->plan, item)];
    int x = plan_example(w->plan, item), rc;
    if (rate) config_set_rate(&c, rate);
    *out = (decoded){0};
    session *s;
    const session_opts o = {.prompt = w->prompts->ids[x],
                            .n_prompt = w->prompts->n[x],
                            .length = c.length,
                            .policy = c.policy,
                            .params = c.params,
                            .seed = session_seed(w->plan, item),
                            .top_k = 1,
                            .cancel = w->cancel};
    rc = session_open(&s, w->d, &o, e);
    if (rc) return rc;
    const int32_t *tokens = session_tokens(s, &out->n);
    for (int i = 0; i < out->n; i++) out->masks += tokens[i] == denoiser_get_info(w->d)->mask_id;
    double begin = clock_now();
    rc = all_steps(w, s, limit, out, e);
    out->seconds = clock_now() - begin;
    if (!rc && !(out->tokens = mem_copy(session_tokens(s, &out->n), (size_t)out->n, sizeof *out->tokens)))
        rc = err_set(e, ERR_NO_MEMORY, "out of memory for %d tokens", out->n);
    session_close(s);
    return rc;
}

/* Compute matching ----------------------------------------------------- */

static int try_rate(const decoder *w, int item, int rate, double limit, decoded *kept, bool *within, err *e) {
    decoded d;
    int rc = decode_once(w, item, rate, limit, &d, e);
    *within = !rc && !d.cut;
    if (*within) {
        free(kept->tokens);
        *kept = d;
    } else {
        free(d.tokens);
    }
    return rc;
}

/* The fewest tokens per step within the budget; *rate = 0 when there are none. */
static int match_rate(const decoder *w, int item, int masks, decoded *out, int *rate, err *e) {
    double limit = w->plan->costs.budget;
    int low = 0, high = 1; /* low is over the budget; high is to be tried */
    bool within = false;
    int rc = try_rate(w, item, high, limit, out, &within, e);
    while (!rc && !within && high < masks) {
        low = high;
        high = high > masks / 2 ? masks : 2 * high;
        rc = try_rate(w, item, high, limit, out, &within, e);
    }
    *rate = within ? high : 0;
    while (!rc && *rate && high - low > 1) {
        int middle = low + (high - low) / 2;
        rc = try_rate(w, item, middle, limit, out, &within, e);
        if (within) {
            *rate = high = middle;
        } else {
            low = middle;
        }
    }
    return rc;
}

static int decode_matched(const decoder *w, int item, decoded *out, outcome *r, err *e) {
    int x = plan_example(w->plan, item), masks = w->plan->configs[plan_config(w->plan, item)].length, rate;
    for (int i = 0; i < w->prompts->n[x]; i++)
        masks += w->prompts->ids[x][i] == denoiser_get_info(w->d)->mask_id;
    *out = (decoded){0};
    int rc = match_rate(w, item, masks, out, &rate, e);
    if (!rc && !rate) {
        r->over = true;
        rate = masks;
        rc = decode_once(w, item, rate, 0, out, e);
    }
    r->rate = rate;
    return rc;
}

/* Outcomes ------------------------------------------------------------- */

/* Ends before the first end of text, or of a turn, in what was generated. */
static int end_of_text(const decoder *w, int n_prompt, const decoded *d) {
    for (int i = n_prompt; i < d->n; i++) {
        if (model_stops(w->m, d->tokens[i])) return i;
    }
    return d->n;
}

/* Under the judge: its own tokens for prompt and continuation, the continuation scored. */
static int judge_text(const decoder *w, const example *x, const strbuf *made, uint64_t seed, double *out,
                      err *e) {
    int32_t *head = NULL, *tail = NULL, *all = NULL;
    int n_head = 0, n_tail = 0, mask = denoiser_get_info(w->judge_d)->mask_id;
    int rc = tokenizer_encode(w->judge->tok, x->prompt, strlen(x->prompt), mask, true, &head, &n_head, e);
    if (!rc) rc = tokenizer_encode(w->judge->tok, made->data, made->len, mask, false, &tail, &n_tail, e);
    int max = denoiser_get_info(w->judge_d)->max_len, n = n_head + n_tail < max ? n_head + n_tail : max;
    if (!rc && !(all = mem_new((size_t)n_head + (size_t)n_tail, sizeof *all)))
        rc = err_set(e, ERR_NO_MEMORY, "out of memory for a text of %d tokens", n);
    if (!rc) {
        memcpy(all, head, (size_t)n_head * sizeof *all);
        memcpy(all + n_head, tail, (size_t)n_tail * sizeof *all);
        rc = quality_elbo(w->judge_d, &(scored_text){all, n, n_head}, w->plan->elbo_draws, seed, w->cancel,
                          out, e);
    }
    free(head);
    free(tail);
    free(all);
    return rc ? err_prefix(e, "judge") : 0;
}

static int measure(const decoder *w, int item, const decoded *d, outcome *out, err *e) {
    int x = plan_example(w->plan, item), from = w->prompts->n[x], to = end_of_text(w, from, d);
    uint64_t seed = session_seed(w->plan, item);
    strbuf made, clean;
    out->entropy = quality_entropy(d->tokens + from, to - from);
    out->diversity = quality_diversity(d->tokens + from, to - from);
    int rc = quality_elbo(w->d, &(scored_text){d->tokens, to, from}, w->plan->elbo_draws, seed, w->cancel,
                          &out->elbo, e);
    if (rc || !w->judge) return rc;
    strbuf_init(&made, SIZE_MAX / 4);
    strbuf_init(&clean, SIZE_MAX / 4);
    tokenizer_decode(w->m->tok, d->tokens + from, to - from, false, &made);
    data_utf8(&clean, made.data, made.len);
    strbuf_share_fault(&clean, &made);
    rc = clean.failed ? strbuf_fault(&clean, "judge", e)
                      : judge_text(w, &w->plan->examples.items[x], &clean, seed, &out->judge, e);
    strbuf_release(&made);
    strbuf_release(&clean);
    return rc;
}

static int judge_answer(const decoder *w, int item, const decoded *d, outcome *out, err *e) {
    const task *t = w->plan->task;
    int x = plan_example(w->plan, item), n_prompt = w->prompts->n[x];
    int from = t->whole ? 0 : n_prompt, to = end_of_text(w, n_prompt, d);
    strbuf text;
    strbuf_init(&text, SIZE_MAX / 4);
    tokenizer_decode(w->m->tok, d->tokens + from, to - from, false, &text);
    out->verdict = t->check ? t->check(&w->plan->examples.items[x], text.data, text.len) : VERDICT_NONE;
    strbuf clean;
    strbuf_init(&clean, SIZE_MAX / 4);
    data_utf8(&clean, text.data, text.len);
    strbuf_share_fault(&clean, &text);
    strbuf_release(&text);
    out->text = strbuf_take(&clean, NULL);
    if (!out->text) return err_set(e, ERR_NO_MEMORY, "out of memory for a text");
    return t->text ? measure(w, item, d, out, e) : 0;
}

int decode_item(const decoder *w, int item, outcome *out, err *e) {
    decoded d;
    *out = (outcome){.elbo = NAN, .judge = NAN, .entropy = NAN, .diversity = NAN};
    bool matched = w->plan->costs.budget > 0;
    int rc = matched ? decode_matched(w, item, &d, out, e) : decode_once(w, item, 0, 0, &d, e);
    if (!rc) rc = judge_answer(w, item, &d, out, e);
    if (!rc && !matched) {
        int rate = config_rate(&w->plan->configs[plan_config(w->plan, item)]);
        out->rate = rate ? rate : d.steps ? (double)d.masks / d.steps : 1;
    }
    out->known = true;
    out->masks = d.masks;
    out->steps = d.steps;
    out->nfe = d.nfe;
    out->seconds = d.seconds;
    out->backward_rows = d.rows;
    free(d.tokens);
    if (!rc) return 0;
    outcome_release(out);
    return err_prefix(e, "example %s, %s", w->plan->examples.items[plan_example(w->plan, item)].id,
                      w->plan->configs[plan_config(w->plan, item)].label);
}
