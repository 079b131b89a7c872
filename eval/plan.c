/* plan.c - the product of lists, and the text that identifies each of its members. */
#include "eval/plan.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"

/* The paper's settings ------------------------------------------------- */

#define ROW(...) ((const char *const[]){__VA_ARGS__, NULL})

const ablation_row ablation_rows[] = {
    {"confidence", "confidence", NULL},
    {"boe", "boe", NULL},
    {"boe gate=off", "boe", ROW("gate", "off")},
    {"boe anti-collapse=off", "boe", ROW("anti-collapse", "off")},
    {"boe active=dense", "boe", ROW("active", "dense")},
    {"boe rho=0.1", "boe", ROW("rho", "0.1")},
    {"boe rho=0.5", "boe", ROW("rho", "0.5")},
    {NULL, NULL, NULL},
};

const protocol protocols[] = {
    {.name = "table2", .summary = "two tokens per step", .rates = {2}, .n_rates = 1},
    {.name = "table5", .summary = "one token per step", .rates = {1}, .n_rates = 1},
    {.name = "figure4",
     .summary = "1, 2, 4, 8 and 16 tokens per step",
     .rates = {1, 2, 4, 8, 16},
     .n_rates = 5},
    {.name = NULL},
};

const protocol *protocol_find(const char *name) {
    for (const protocol *p = protocols; p->name; p++) {
        if (!strcmp(p->name, name)) return p;
    }
    return NULL;
}

/* Configurations ------------------------------------------------------- */

int config_rate(const eval_config *c) {
    int steps = param_find(&c->params, "steps"), budget = param_find(&c->params, "budget");
    if (budget < 0 || (steps >= 0 && c->params.v[steps] > 0)) return 0;
    return (int)c->params.v[budget];
}

void config_set_rate(eval_config *c, int rate) {
    int budget = param_find(&c->params, "budget");
    if (budget >= 0) c->params.v[budget] = rate;
}

static int add_config(eval_plan *p, const eval_config *from, int length, int rate, uint64_t seed) {
    eval_config *c = &p->configs[p->n_configs++];
    *c = *from;
    c->length = length;
    c->seed = seed;
    if (rate) config_set_rate(c, rate);
    return 0;
}

static int check_policies(const eval_plan *p, const eval_wish *w, const denoiser_info *info, err *e) {
    for (int i = 0; i < w->n_policies; i++) {
        const eval_config *c = &w->policies[i];
        int rc = policy_check(c->policy, &c->params, info, e);
        if (rc) return err_prefix(e, "policy %s", c->label);
        if ((w->n_rates || p->costs.budget > 0) && !config_rate(c))
            return err_set(e, ERR_BAD_ARGUMENT,
                           "policy %s: tokens per step are chosen here, so leave --steps out", c->label);
        for (int k = 0; k < i; k++) {
            if (!strcmp(c->label, w->policies[k].label))
                return err_set(e, ERR_BAD_ARGUMENT, "policy %s is named twice", c->label);
        }
    }
    return 0;
}

static bool expressible(const model *m, const char *text) {
    int32_t *ids;
    int n;
    err ignored = {0};
    bool is = model_prompt(m, text, strlen(text), &ids, &n, &ignored) == 0;
    free(ids);
    return is;
}

int plan_notation(eval_plan *p, const model *m, int *length, err *e) {
    const task *t = p->task;
    example_set *s = &p->examples;
    *length = t->length;
    if (!t->brief || !s->n || expressible(m, s->items[0].prompt)) return 0;
    *length = t->brief_length;
    for (int i = 0; i < s->n; i++) {
        strbuf text;
        strbuf_init(&text, 4096);
        t->brief(&s->items[i], &text);
        s->items[i].prompt = arena_strdup(&s->mem, text.data);
        strbuf_release(&text);
        if (!s->items[i].prompt) return err_set(e, ERR_NO_MEMORY, "out of memory for %d prompts", s->n);
    }
    return 0;
}

int plan_configs(eval_plan *p, const eval_wish *w, const denoiser_info *info, err *e) {
    int rc = check_policies(p, w, info, e);
    if (rc) return rc;
    int n_rates = w->n_rates ? w->n_rates : 1;
    size_t n = (size_t)w->n_policies * (size_t)w->n_lengths * (size_t)n_rates * (size_t)w->n_seeds;
    if (n > EVAL_MAX_CONFIGS || n * (size_t)p->examples.n > INT32_MAX / 2)
        return err_set(e, ERR_BAD_ARGUMENT, "%zu configurations are more than %d", n, EVAL_MAX_CONFIGS);
    p->configs = mem_new(n, sizeof *p->configs);
    if (!p->configs) return err_set(e, ERR_NO_MEMORY, "out of memory for %zu configurations", n);
    for (int l = 0; l < w->n_lengths; l++) {
        for (int r = 0; r < n_rates; r++) {
            for (int i = 0; i < w->n_policies; i++) {
                for (int s = 0; s < w->n_seeds; s++)
                    add_config(p, &w->policies[i], w->lengths[l], w->n_rates ? w->rates[r] : 0, w->seeds[s]);
            }
        }
    }
    return 0;
}

void plan_release(eval_plan *p) {
    example_set_release(&p->examples);
    free(p->configs);
    free(p->identity);
    *p = (eval_plan){0};
}

/* Keys ----------------------------------------------------------------- */

static uint64_t finish(uint64_t x) {
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

void eval_hash(const char *text, size_t n, char out[EVAL_KEY]) {
    uint64_t a = UINT64_C(0xcbf29ce484222325), b = UINT64_C(0x9e3779b97f4a7c15);
    for (size_t i = 0; i < n; i++) {
        a = (a ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
        b = (b ^ (unsigned char)text[i]) * UINT64_C(0xd6e8feb86659fd93);
        b ^= b >> 32;
    }
    snprintf(out, EVAL_KEY, "%016" PRIx64 "%016" PRIx64, finish(a), finish(b));
}

int plan_identity(eval_plan *p, const model *m, const model *judge, bool raw, err *e) {
    const denoiser_info *info = denoiser_get_info(m->d);
    strbuf b;
    strbuf_init(&b, 1 << 20);
    strbuf_printf(&b, "%s %s mask %d %s %s %s\n", info->fingerprint, info->precision, (int)info->mask_id,
                  info->shifted ? "shifted" : "unshifted", m->chat ? m->chat->name : "-",
                  raw ? "raw" : "template");
    if (m->briefing) strbuf_printf(&b, "%s\n", m->briefing);
    if (m->stop_id >= 0) strbuf_printf(&b, "ends at %d\n", (int)m->stop_id);
    strbuf_printf(&b, "%s budget %.17g%s%s\n", p->task->name, p->costs.budget,
                  p->costs.charge_backward ? " charged" : "", p->costs.paper ? " paper" : "");
    if (p->elbo_draws)
        strbuf_printf(&b, "elbo %d judge %s\n", p->elbo_draws,
                      judge ? denoiser_get_info(judge->d)->fingerprint : "-");
    p->identity = strbuf_take(&b, NULL);
    return p->identity ? 0 : err_set(e, ERR_NO_MEMORY, "out of memory for the identity of an evaluation");
}

bool plan_key(const eval_plan *p, int item, char out[EVAL_KEY]) {
    const example *x = &p->examples.items[plan_example(p, item)];
    const eval_config *c = &p->configs[plan_config(p, item)];
    strbuf b;
    strbuf_init(&b, SIZE_MAX / 4);
    strbuf_printf(&b, "%s%s\n%s\n%s\n%s length %d seed %" PRIu64, p->identity, x->id, x->prompt,
                  x->answer ? x->answer : "", c->policy->name, c->length, c->seed);
    for (int i = 0; i < c->params.n; i++) {
        char value[64];
        /* Exact decodes keep the keys that they had before there were others. */
        if (!strncmp(c->params.defs[i]->name, "kv-", 3) && !policy_approximates(&c->params)) continue;
        strbuf_printf(&b, " %s=%s", c->params.defs[i]->name,
                      param_format(&c->params, i, value, sizeof value));
    }
    bool ok = !b.failed;
    eval_hash(b.data, b.len, out);
    strbuf_release(&b);
    return ok;
}
