/* cmd_score.c - the scores of one state, every number of them, for scripts and for the curious.
 *
 * The state gets one forward pass; the chosen policy scores it as a session would, and the optional parts
 * (other triples, influence, attention, truth) are computed over the policy's own candidates from that same
 * pass.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/scores.h"

static int score_main(int argc, char **argv);

const command cmd_score = {
    .name = "score",
    .summary = "every score of one state",
    .usage =
        "usage: tabes score [-m MODEL] (--tokens IDS | -p TEXT | ...) [OPTIONS]\n"
        "\n"
        "Scores the masked positions of one state: entropy, confidence, gate, soft write, TIS, the policy's "
        "score. Arrays\n"
        "over masked positions and over candidates are in ascending order of position; entropies are in "
        "nats.\n"
        "\n" HELP_MODEL
        "      --tokens IDS        the state as a JSON array of token ids, masks included\n" HELP_PROMPT
            HELP_POLICY "                          (default boe)\n"
        "      --t N               steps left, for annealing (default: all of them, --steps)\n"
        "      --tis LIST          triples lookahead/objective/active, comma separated, or all\n"
        "                          (default: the policy's own)\n"
        "      --logits            add the logits of the masked rows, mask column left out (with --json)\n"
        "      --influence         add D[j][i], how much settling candidate i lowers the entropy at j (with "
        "--json)\n"
        "      --attention LAYER   add the attention of every candidate's row in a layer, 0 the first:\n"
        "                          [candidate][head][position] (with --json)\n"
        "      --truth             add the true relaxed and the expected discrete reduction of every "
        "candidate,\n"
        "                          rank correlations of TIS with them, and which choices are stable by an "
        "estimated\n"
        "                          bound of Corollary 3.2\n"
        "      --samples N         draws per candidate of --truth above 1024 ids (default 64)\n" HELP_SEED
            HELP_JSON HELP_QUIET,
    .policy_flags = true,
    .run = score_main,
};

enum { DEFAULT_SAMPLES = 64 };

/* The state ------------------------------------------------------------- */

static int read_tokens(scores *s, err *e) {
    const denoiser_info *info = denoiser_get_info(s->m.d);
    if (s->tokens_text)
        return cli_parse_ids(s->tokens_text, "--tokens", info->n_vocab, &s->tokens, &s->n_tokens, e);
    int n_prompt, rc = cli_read_prompt(&s->args, &s->m, &s->tokens, &n_prompt, e);
    if (rc) return rc;
    int more = cli_length(&s->args, &s->m, s->tokens, n_prompt);
    int32_t *all = realloc(s->tokens, ((size_t)n_prompt + (size_t)more + 1) * sizeof *all);
    if (!all) return err_set(e, ERR_NO_MEMORY, "out of memory");
    s->tokens = all;
    for (int i = 0; i < more; i++) all[n_prompt + i] = info->mask_id;
    s->n_tokens = n_prompt + more;
    return 0;
}

void *scores_new(scores *s, size_t n, size_t size, err *e) {
    void *p = arena_new(&s->rec->mem, n, size);
    if (!p) err_set(e, ERR_NO_MEMORY, "out of memory");
    return p;
}

static int forward(scores *s, const int *masked, int n_masked, err *e) {
    row_ref *rows = scores_new(s, (size_t)n_masked, sizeof *rows, e);
    if (!rows) return ERR_NO_MEMORY;
    for (int i = 0; i < n_masked; i++) rows[i] = (row_ref){0, masked[i]};
    const sequence seq = {s->tokens, s->n_tokens};
    const forward_req q = {.seqs = &seq,
                           .n_seqs = 1,
                           .rows = rows,
                           .n_rows = n_masked,
                           .keep = true,
                           .whole_rows = s->logits,
                           .cancel = &cli_cancelled};
    s->p = pass_new();
    if (!s->p) return err_set(e, ERR_NO_MEMORY, "out of memory");
    return denoiser_forward(s->m.d, &q, s->p, e);
}

/* What the forward pass knows, into the record. */
static int fill_known(scores *s, int n, err *e) {
    step_record *r = s->rec;
    double *entropy = scores_new(s, (size_t)n, sizeof *entropy, e),
           *confidence = scores_new(s, (size_t)n, sizeof *confidence, e),
           *margin = scores_new(s, (size_t)n, sizeof *margin, e);
    int32_t *argmax = scores_new(s, (size_t)n, sizeof *argmax, e);
    if (!entropy || !confidence || !margin || !argmax) return ERR_NO_MEMORY;
    r->entropy = entropy;
    r->confidence = confidence;
    r->margin = margin;
    r->argmax = argmax;
    for (int i = 0; i < n; i++) {
        const k_row_stats *k = pass_stats(s->p, i);
        entropy[i] = k->entropy;
        confidence[i] = k->confidence;
        margin[i] = k->margin;
        argmax[i] = k->argmax;
        r->total_entropy += k->entropy;
    }
    return 0;
}

static int open_state(scores *s, err *e) {
    const denoiser_info *info = denoiser_get_info(s->m.d);
    if (s->n_tokens > info->max_len) {
        return err_set(e, ERR_BAD_ARGUMENT, "the state has %d tokens, the model's context %d", s->n_tokens,
                       info->max_len);
    }
    s->rec = record_new();
    int *masked = s->rec ? scores_new(s, (size_t)s->n_tokens, sizeof *masked, e) : NULL;
    if (!masked) return err_set(e, ERR_NO_MEMORY, "out of memory");
    int n = 0;
    for (int i = 0; i < s->n_tokens; i++) {
        if (s->tokens[i] == info->mask_id) masked[n++] = i;
    }
    if (!n)
        return err_set(e, ERR_BAD_ARGUMENT, "nothing to score: no token is the mask, id %d",
                       (int)info->mask_id);
    s->rec->masked = masked;
    s->rec->n_masked = n;
    int rc = forward(s, masked, n, e);
    return rc ? rc : fill_known(s, n, e);
}

/* The policy ------------------------------------------------------------ */

/* Which step of how many this state is: T from --steps (or one step per `budget` tokens), t from --t. */
static int open_decision(scores *s, err *e) {
    const cli_policy *c = &s->args.policies[0];
    int n = s->rec->n_masked, steps = param_int(&c->params, "steps"),
        budget = param_int(&c->params, "budget");
    int T = steps ? steps : (n + budget - 1) / budget;
    int64_t t = T;
    int rc = s->t_text ? cli_parse_int(s->t_text, "--t", 1, T, &t, e) : 0;
    if (rc) return rc;
    /* The masks left over the steps left is what a session writes at this point; a budget that was given wins
     * here. */
    if (steps && !c->params.given[param_find(&c->params, "budget")]) {
        budget = session_quota(n, (int)t, 0, 0);
        if (budget < 1) budget = 1;
    }
    s->rec->step = T - (int)t;
    s->rec->t = (int)t;
    s->rec->T = T;
    s->dec = (decision){.state = {.d = s->m.d,
                                  .p = s->p,
                                  .tokens = s->tokens,
                                  .n_tokens = s->n_tokens,
                                  .masked = s->rec->masked,
                                  .n_masked = n,
                                  .cancel = &cli_cancelled},
                        .params = &c->params,
                        .step = s->rec->step,
                        .t = (int)t,
                        .T = T,
                        .budget = budget < n ? budget : n,
                        .seed = s->args.seed,
                        .n_scope = n,
                        .last = t <= 1,
                        .block_begin = n ? s->rec->masked[0] : 0,
                        .block_masks = n,
                        .block_steps = T,
                        .block_step = s->rec->step,
                        .memory = &s->memory,
                        .proposer = {.p = s->p,
                                     .n_vocab = denoiser_get_info(s->m.d)->n_vocab,
                                     .temperature = param_real(&c->params, "temperature"),
                                     .top_k = param_int(&c->params, "top-k"),
                                     .top_p = param_real(&c->params, "top-p"),
                                     .seed = s->args.seed,
                                     .step = s->rec->step},
                        .rec = s->rec};
    rc = proposer_reads_logits(&s->dec.proposer) ? pass_read(s->p, NULL, 0, e) : 0;
    if (rc) return rc;
    return c->policy->score(&s->dec, e);
}

/* Gate, soft writes and self terms of the policy's candidates. */
static int fill_candidates(scores *s, err *e) {
    const step_record *r = s->rec;
    const denoiser_info *info = denoiser_get_info(s->m.d);
    size_t n = (size_t)r->n_cand;
    s->cand = scores_new(s, n, sizeof *s->cand, e);
    s->gate = scores_new(s, n, sizeof *s->gate, e);
    s->delta_norm = scores_new(s, n, sizeof *s->delta_norm, e);
    s->self = scores_new(s, n, sizeof *s->self, e);
    s->soft = scores_new(s, n * (size_t)info->d_model, sizeof *s->soft, e);
    if (!s->cand || !s->gate || !s->delta_norm || !s->self || !s->soft) return ERR_NO_MEMORY;
    for (int i = 0; i < r->n_cand; i++) {
        s->cand[i] = record_masked_index(r, r->cand[i]);
        s->gate[i] = score_gate(r->entropy[s->cand[i]], info->n_vocab);
    }
    int rc = score_soft(&s->dec.state, s->cand, r->n_cand, s->soft, s->delta_norm, e);
    if (!rc) rc = score_self_local(&s->dec.state, s->cand, r->n_cand, s->soft, s->self, &s->dec.cost, e);
    return rc;
}

/* Triples --------------------------------------------------------------- */

static double param_or(const param_set *p, const char *name, double otherwise) {
    return param_find(p, name) >= 0 ? param_real(p, name) : otherwise;
}

static int add_triple(scores *s, score_triple t, err *e) {
    if (s->n_triples == MAX_TRIPLES)
        return err_set(e, ERR_BAD_ARGUMENT, "--tis: more than %d triples", MAX_TRIPLES);
    const param_set *params = &s->args.policies[0].params;
    const score_opts o = {.alpha = param_or(params, "alpha", 1.0),
                          .path_points = (int)param_or(params, "path-points", 1.0)};
    double *tis = scores_new(s, (size_t)s->rec->n_cand, sizeof *tis, e);
    if (!tis) return ERR_NO_MEMORY;
    int rc = triple_check(t, denoiser_get_info(s->m.d)->shifted, e);
    if (!rc) rc = score_tis(&s->dec.state, t, o, s->cand, s->rec->n_cand, s->soft, tis, &s->dec.cost, e);
    if (rc) return rc;
    triple_result *out = &s->triples[s->n_triples++];
    triple_name(t, out->name);
    out->tis = tis;
    return 0;
}

/* What `--tis all` stands for (docs/scoring.md). */
static int add_all_triples(scores *s, err *e) {
    bool shifted = denoiser_get_info(s->m.d)->shifted;
    int rc = 0;
    for (int a = ACTIVE_DENSE; !rc && a <= ACTIVE_UNCERTAIN; a++) {
        rc = add_triple(s, (score_triple){LOOK_MASK, OBJ_MASKED, (active_rows)a}, e);
        if (!rc) rc = add_triple(s, (score_triple){LOOK_MASK, OBJ_OTHERS, (active_rows)a}, e);
        if (rc || (a == ACTIVE_CANDIDATES && !shifted)) continue;
        rc = add_triple(s, (score_triple){LOOK_SOFT, OBJ_REMAINING, (active_rows)a}, e);
    }
    if (!rc) rc = add_triple(s, (score_triple){LOOK_MID, OBJ_OTHERS, ACTIVE_DENSE}, e);
    for (int a = ACTIVE_MASKED; !rc && a <= ACTIVE_UNCERTAIN; a++) {
        rc = add_triple(s, (score_triple){LOOK_ROWS, OBJ_OTHERS, (active_rows)a}, e);
    }
    return rc;
}

static int add_own_triple(scores *s) {
    if (!s->rec->tis || !s->rec->tis_name) return 0;
    triple_result *out = &s->triples[s->n_triples++];
    snprintf(out->name, sizeof out->name, "%s", s->rec->tis_name);
    out->tis = s->rec->tis;
    return 0;
}

static bool has_triple(const scores *s, const char *name) {
    for (int i = 0; i < s->n_triples; i++) {
        if (!strcmp(s->triples[i].name, name)) return true;
    }
    return false;
}

static int add_triples(scores *s, err *e) {
    if (!s->tis_text) return add_own_triple(s);
    if (!strcmp(s->tis_text, "all")) return add_all_triples(s, e);
    for (const char *at = s->tis_text; *at;) {
        char name[TRIPLE_NAME];
        size_t len = strcspn(at, ",");
        snprintf(name, sizeof name, "%.*s", (int)(len < sizeof name ? len : sizeof name - 1), at);
        score_triple t;
        int rc = triple_parse(&t, name, e);
        if (!rc && !has_triple(s, name)) rc = add_triple(s, t, e);
        if (rc) return err_prefix(e, "--tis");
        at += len + (at[len] == ',');
    }
    return 0;
}

/* The costly parts ------------------------------------------------------ */

static int add_influence(scores *s, err *e) {
    s->D = scores_new(s, (size_t)s->rec->n_masked * (size_t)s->rec->n_cand, sizeof *s->D, e);
    if (!s->D) return ERR_NO_MEMORY;
    return score_influence(&s->dec.state, s->cand, s->rec->n_cand, s->soft, s->D, &s->dec.cost, e);
}

/* Of the rows that predict the candidates. */
static int add_attention(scores *s, err *e) {
    const denoiser_info *info = denoiser_get_info(s->m.d);
    size_t each = (size_t)info->n_heads * (size_t)s->n_tokens;
    int64_t layer;
    int rc = cli_parse_int(s->attention_text, "--attention", 0, info->n_layers - 1, &layer, e);
    if (rc) return rc;
    s->layer = (int)layer;
    s->attention = scores_new(s, (size_t)s->rec->n_cand * each, sizeof *s->attention, e);
    if (!s->attention) return ERR_NO_MEMORY;
    for (int i = 0; i < s->rec->n_cand && !rc; i++) {
        float *out = s->attention + (size_t)i * each;
        rc = denoiser_attention(s->m.d, s->p, 0, s->rec->cand[i], s->layer, out, e);
    }
    return rc;
}

static int compute(scores *s, err *e) {
    const cli_policy *c = &s->args.policies[0];
    int rc = c->policy->check ? c->policy->check(&c->params, denoiser_get_info(s->m.d), e) : 0;
    if (!rc && param_int(&c->params, "kv-cache"))
        rc =
            err_set(e, ERR_BAD_ARGUMENT, "kv-cache: there is one state to score, and it is computed exactly");
    if (!rc) rc = open_state(s, e);
    if (!rc) rc = open_decision(s, e);
    if (!rc) rc = fill_candidates(s, e);
    if (!rc) rc = add_triples(s, e);
    if (!rc && s->logits) rc = pass_read(s->p, NULL, 0, e);
    if (!rc && s->influence) rc = add_influence(s, e);
    if (!rc && s->attention_text) rc = add_attention(s, e);
    if (!rc && s->truth) rc = scores_add_truth(s, e);
    return rc;
}

/* The command ----------------------------------------------------------- */

static int check_usage(const scores *s) {
    int ways = (s->tokens_text != NULL) + cli_has_prompt(&s->args);
    if (ways == 0) return cli_usage_error(&cmd_score, "no state; give --tokens or a prompt");
    if (ways > 1) return cli_usage_error(&cmd_score, "give either --tokens or a prompt");
    return -1;
}

static void note_unprinted(const scores *s) {
    if (s->args.json || s->args.quiet) return;
    if (s->logits) cli_note("--logits is printed with --json only");
    if (s->influence) cli_note("--influence is printed with --json only");
    if (s->attention_text) cli_note("--attention is printed with --json only");
}

/* The state is input, what follows is computed from it. */
static int score(scores *s) {
    err e = {0};
    if (read_tokens(s, &e)) return cli_report_input(&e);
    cli_catch_signals(); /* as in cmd_run.c */
    int rc = compute(s, &e);
    if (!rc && s->args.json) rc = scores_print_json(s, &e);
    if (!rc && !s->args.json) scores_print_table(s);
    if (!rc) note_unprinted(s);
    return rc ? cli_report(&e) : EXIT_OK;
}

static int score_main(int argc, char **argv) {
    scores s = {.args = {.default_policies = "boe"}};
    const cli_extra extra[] = {{"tokens", 0, &s.tokens_text, NULL},
                               {"t", 0, &s.t_text, NULL},
                               {"tis", 0, &s.tis_text, NULL},
                               {"samples", 0, &s.samples_text, NULL},
                               {"logits", 0, NULL, &s.logits},
                               {"influence", 0, NULL, &s.influence},
                               {"attention", 0, &s.attention_text, NULL},
                               {"truth", 0, NULL, &s.truth},
                               {0}};
    unsigned groups = CLI_MODEL | CLI_PROMPT | CLI_POLICY | CLI_SEED | CLI_JSON | CLI_QUIET;
    int code = cli_parse(&s.args, &cmd_score, groups, extra, argc, argv);
    if (code < 0) code = check_usage(&s);
    if (code >= 0) return code;
    err e = {0};
    int64_t samples = DEFAULT_SAMPLES;
    if (s.samples_text && cli_parse_int(s.samples_text, "--samples", 2, 1 << 20, &samples, &e))
        return cli_report(&e);
    s.samples = (int)samples;
    if (cli_open_model(&s.args, &s.m, &e)) return cli_report_input(&e);
    code = score(&s);
    if (s.memory.data) s.memory.forget(s.memory.data);
    pass_free(s.p);
    record_unref(s.rec);
    free(s.tokens);
    model_close(&s.m);
    return code;
}
