/* eval_args.c - the options of `tabes eval` become a wish: lists, a task and ways to count. */
#include "cli/eval_args.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"

/* Lists ---------------------------------------------------------------- */

/* Whole numbers separated by commas, each once. */
static int parse_list(const char *text, const char *what, uint64_t low, uint64_t high, uint64_t *out, int *n,
                      err *e) {
    *n = 0;
    for (const char *s = text;; s++) {
        char *end;
        errno = 0;
        unsigned long long v = strtoull(s, &end, 10);
        if (*s < '0' || *s > '9' || errno || v < low || v > high || (*end && *end != ','))
            return err_set(e, ERR_BAD_ARGUMENT,
                           "%s: '%.60s', expected whole numbers from %llu to %llu such as 1,2,4", what, text,
                           (unsigned long long)low, (unsigned long long)high);
        for (int i = 0; i < *n; i++) {
            if (out[i] == v) return err_set(e, ERR_BAD_ARGUMENT, "%s: %llu is there twice", what, v);
        }
        if (*n == EVAL_MAX_LIST)
            return err_set(e, ERR_BAD_ARGUMENT, "%s: at most %d numbers", what, EVAL_MAX_LIST);
        out[(*n)++] = v;
        s = end;
        if (!*s) return 0;
    }
}

static int parse_ints(const char *text, const char *what, int low, int high, int *out, int *n, err *e) {
    uint64_t values[EVAL_MAX_LIST];
    int rc = text ? parse_list(text, what, (uint64_t)low, (uint64_t)high, values, n, e) : 0;
    for (int i = 0; text && !rc && i < *n; i++) out[i] = (int)values[i];
    return rc;
}

static int parse_int(const char *text, const char *what, int low, int high, int *out, err *e) {
    int64_t v;
    if (!text) return 0;
    int rc = cli_parse_int(text, what, low, high, &v, e);
    if (!rc) *out = (int)v;
    return rc;
}

/* Options -------------------------------------------------------------- */

static int parse_task(eval_args *a, err *e) {
    if (!a->task_name) return err_set(e, ERR_BAD_ARGUMENT, "no task; give --task: %s", task_names());
    a->task = task_find(a->task_name);
    if (!a->task)
        return err_set(e, ERR_BAD_ARGUMENT, "unknown task '%.40s'; there are: %s", a->task_name,
                       task_names());
    if (a->clues && (strcmp(a->task->name, "sudoku") || a->data))
        return err_set(e, ERR_BAD_ARGUMENT, "--clues is for generated Sudoku");
    if (a->lengths && !a->task->length)
        return err_set(e, ERR_BAD_ARGUMENT, "--lengths: the prompts of %s have gaps of their own",
                       a->task->name);
    if (a->judge_model && !a->task->text)
        return err_set(e, ERR_BAD_ARGUMENT, "--judge-model is for --task text");
    a->what.data = a->data;
    int rc = parse_int(a->n_text, "-n", 1, TASK_MAX_N, &a->what.n, e);
    return rc ? rc : parse_int(a->clues, "--clues", SUDOKU_MIN_CLUES, SUDOKU_MAX_CLUES, &a->what.clues, e);
}

static int parse_protocol(eval_args *a, err *e) {
    if (!a->protocol_name) return 0;
    if (a->rates) return err_set(e, ERR_BAD_ARGUMENT, "give only one of --protocol and --tokens-per-step");
    const protocol *p = protocol_find(a->protocol_name);
    if (!p)
        return err_set(e, ERR_BAD_ARGUMENT, "unknown protocol '%.40s'; there are: table2, table5, figure4",
                       a->protocol_name);
    memcpy(a->wish.rates, p->rates, sizeof a->wish.rates);
    a->wish.n_rates = p->n_rates;
    return 0;
}

static int parse_costs(eval_args *a, err *e) {
    a->costs.charge_backward = a->charge_backward;
    if (a->charge_backward && !a->match)
        return err_set(e, ERR_BAD_ARGUMENT, "--charge-backward is for --match-nfe");
    if (a->match && a->wish.n_rates)
        return err_set(e, ERR_BAD_ARGUMENT, "--match-nfe chooses the tokens per step itself; leave them out");
    if (a->accounting && strcmp(a->accounting, "ours") && strcmp(a->accounting, "paper"))
        return err_set(e, ERR_BAD_ARGUMENT, "--nfe-accounting: '%.40s', expected ours or paper",
                       a->accounting);
    a->costs.paper = a->accounting && !strcmp(a->accounting, "paper");
    return a->match ? cli_parse_real(a->match, "--match-nfe", 1, 1e6, &a->costs.budget, e) : 0;
}

static int parse_all(eval_args *a, err *e) {
    eval_wish *w = &a->wish;
    a->elbo_draws = 32;
    if (a->csv && a->json) return err_set(e, ERR_BAD_ARGUMENT, "give only one of --csv and --json");
    if (a->seeds && a->args.seed_given)
        return err_set(e, ERR_BAD_ARGUMENT, "give only one of --seed and --seeds");
    if (a->ablation && a->args.n_policies)
        return err_set(e, ERR_BAD_ARGUMENT, "give only one of --policies and --ablation");
    int rc = parse_task(a, e);
    if (!rc) rc = parse_ints(a->lengths, "--lengths", 1, 1 << 20, w->lengths, &w->n_lengths, e);
    if (!rc) rc = parse_ints(a->rates, "--tokens-per-step", 1, 100000, w->rates, &w->n_rates, e);
    if (!rc) rc = parse_protocol(a, e);
    if (!rc) rc = parse_costs(a, e);
    if (!rc) rc = parse_int(a->jobs_text, "--jobs", 1, EVAL_MAX_JOBS, &a->jobs, e);
    if (!rc) rc = parse_int(a->elbo_text, "--elbo-draws", 1, 100000, &a->elbo_draws, e);
    if (!rc && a->seeds) rc = parse_list(a->seeds, "--seeds", 0, UINT64_MAX, w->seeds, &w->n_seeds, e);
    if (!a->task || !a->task->text) a->elbo_draws = 0;
    return rc;
}

/* The rows of the ablation take the place of policies: their parameters are filled in like those. */
static void choose_policies(eval_args *a) {
    cli_args *c = &a->args;
    for (const ablation_row *r = ablation_rows; a->ablation && r->label; r++)
        c->policies[c->n_policies++].policy = policy_find(r->policy);
    static const char *const usual[] = {"confidence", "boe"};
    for (int i = 0; i < 2 && !c->n_policies; i++) c->policies[i].policy = policy_find(usual[i]);
    if (!c->n_policies) c->n_policies = 2;
}

int eval_args_parse(eval_args *a, const command *c, int argc, char **argv) {
    const cli_extra extra[] = {{"task", 0, &a->task_name, NULL},
                               {"data", 0, &a->data, NULL},
                               {"examples", 'n', &a->n_text, NULL},
                               {"lengths", 0, &a->lengths, NULL},
                               {"tokens-per-step", 0, &a->rates, NULL},
                               {"seeds", 0, &a->seeds, NULL},
                               {"clues", 0, &a->clues, NULL},
                               {"protocol", 0, &a->protocol_name, NULL},
                               {"ablation", 0, NULL, &a->ablation},
                               {"match-nfe", 0, &a->match, NULL},
                               {"charge-backward", 0, NULL, &a->charge_backward},
                               {"nfe-accounting", 0, &a->accounting, NULL},
                               {"results", 0, &a->results, NULL},
                               {"jobs", 0, &a->jobs_text, NULL},
                               {"csv", 0, NULL, &a->csv},
                               {"json", 0, NULL, &a->json},
                               {"chart", 0, NULL, &a->chart},
                               {"plot", 0, &a->plot, NULL},
                               {"samples", 0, &a->samples, NULL},
                               {"judge-model", 0, &a->judge_model, NULL},
                               {"elbo-draws", 0, &a->elbo_text, NULL},
                               {"template", 0, &a->args.chat, NULL},
                               {"system", 0, &a->args.briefing, NULL},
                               {"raw", 0, NULL, &a->args.raw},
                               {0}};
    a->args.max_policies = CLI_MAX_POLICIES;
    unsigned groups = CLI_MODEL | CLI_POLICY | CLI_POLICIES | CLI_SEED | CLI_QUIET;
    int code = cli_parse(&a->args, c, groups, extra, argc, argv);
    if (code >= 0) return code;
    err e = {0};
    if (parse_all(a, &e)) return cli_usage_error(c, "%s", e.msg);
    choose_policies(a);
    if (cli_fill_policies(&a->args, NULL, &e)) return cli_usage_error(c, "%s", e.msg);
    return -1;
}

/* Policies ------------------------------------------------------------- */

/* From nothing the most probable text would be the same every time. */
static void default_temperature(const eval_args *a, param_set *params) {
    int i = param_find(params, "temperature");
    if (a->task->text && !a->data && i >= 0 && !params->given[i]) params->v[i] = 1;
}

static int fill_config(const eval_args *a, int i, eval_config *c, err *e) {
    const cli_policy *p = &a->args.policies[i];
    *c = (eval_config){.policy = p->policy, .params = p->params};
    snprintf(c->label, sizeof c->label, "%s", a->ablation ? ablation_rows[i].label : p->policy->name);
    default_temperature(a, &c->params);
    const char *const *change = a->ablation ? ablation_rows[i].changes : NULL;
    for (int rc; change && change[0]; change += 2) {
        rc = param_parse(&c->params, change[0], change[1], e);
        if (rc) return rc;
    }
    return 0;
}

int eval_args_policies(eval_args *a, const model *m, err *e) {
    eval_wish *w = &a->wish;
    if (!w->n_seeds) w->seeds[w->n_seeds++] = a->args.seed;
    eval_config *all = mem_new((size_t)a->args.n_policies, sizeof *all);
    if (!all) return err_set(e, ERR_NO_MEMORY, "out of memory for %d policies", a->args.n_policies);
    w->policies = all;
    for (int i = 0; i < a->args.n_policies; i++) {
        eval_config *c = &all[w->n_policies];
        err why = {0};
        int rc = fill_config(a, i, c, e);
        if (rc) return rc;
        if (a->args.all_policies && policy_check(c->policy, &c->params, denoiser_get_info(m->d), &why)) {
            if (!a->args.quiet) cli_note("note: %s is left out: %s", c->label, why.msg);
            continue;
        }
        w->n_policies++;
    }
    return 0;
}

void eval_args_release(eval_args *a) {
    free((void *)(uintptr_t)a->wish.policies);
    a->wish.policies = NULL;
}
