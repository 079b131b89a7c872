/* session.c - one decode: what it begins with, its blocks, and what others may know of it. Its steps are in
 * session_step.c, its state changes in session_state.c. */
#include "engine/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/base/mem.h"
#include "engine/policies/policies.h"
#include "engine/session_struct.h"
#include "engine/shared_pass.h"

/* ---- opening ---- */

static int check_prompt(const denoiser_info *info, const session_opts *o, err *e) {
    if (o->n_prompt < 0 || o->length < 0) return err_set(e, ERR_BAD_ARGUMENT, "a negative length");
    if (o->length > info->max_len || o->n_prompt > info->max_len - o->length) {
        return err_set(e, ERR_BAD_ARGUMENT,
                       "prompt of %d and generation of %d tokens exceed the model's context of %d",
                       o->n_prompt, o->length, info->max_len);
    }
    int blanks = 0;
    for (int i = 0; i < o->n_prompt; i++) {
        if (o->prompt[i] < 0 || o->prompt[i] >= info->n_vocab) {
            return err_set(e, ERR_BAD_ARGUMENT,
                           "prompt token %d at position %d is outside the vocabulary of %d",
                           (int)o->prompt[i], i, info->n_vocab);
        }
        blanks += o->prompt[i] == info->mask_id;
    }
    if (blanks + o->length > 0) return 0;
    return err_set(e, ERR_BAD_ARGUMENT, "nothing to generate: the length is 0 and the prompt has no masks");
}

static int check_options(const denoiser_info *info, const session_opts *o, err *e) {
    if (!o->policy) return err_set(e, ERR_BAD_ARGUMENT, "no policy; choose one of %s", policy_names());
    if (o->params.defs != o->policy->params) {
        return err_set(e, ERR_BAD_ARGUMENT, "the parameters are not those of policy %s", o->policy->name);
    }
    if (o->top_k < 0 || o->top_k > RECORD_TOP_K) {
        return err_set(e, ERR_BAD_ARGUMENT, "top-k %d; from 0 to %d are kept", o->top_k, RECORD_TOP_K);
    }
    int rc = check_prompt(info, o, e);
    return rc ? rc : policy_check(o->policy, &o->params, info, e);
}

static int allocate(session *s, err *e) {
    size_t n = (size_t)s->n;
    s->start = mem_new(n, sizeof *s->start);
    s->tokens = mem_new(n, sizeof *s->tokens);
    s->pinned = mem_new(n, sizeof *s->pinned);
    s->masked = mem_new(n, sizeof *s->masked);
    s->scope = mem_new(n, sizeof *s->scope);
    s->late = mem_new(n, sizeof *s->late);
    s->past = mem_new(SESSION_PAST * n, sizeof *s->past);
    s->bans = mem_new(N_STOPS, sizeof *s->bans);
    s->rows = mem_new(2 * n, sizeof *s->rows);
    s->revealed = mem_new(n, sizeof *s->revealed);
    s->taken = mem_new(n, sizeof *s->taken);
    s->clean = mem_new(n, sizeof *s->clean);
    s->clean_row = mem_new(n, sizeof *s->clean_row);
    s->bare = mem_new(n, sizeof *s->bare);
    s->p = s->o.shared ? shared_pass_of(s->o.shared) : pass_new();
    bool all = s->start && s->tokens && s->pinned && s->masked && s->scope && s->late && s->past && s->bans &&
               s->rows && s->revealed && s->taken && s->clean && s->clean_row && s->bare && s->p;
    if (all) return cache_open(&s->cache, s->n, e);
    return err_set(e, ERR_NO_MEMORY, "out of memory for a session of %d tokens", s->n);
}

void session_forget(session *s) {
    if (s->memory.data && s->memory.forget) s->memory.forget(s->memory.data);
    s->memory = (policy_memory){0};
}

void session_as_opened(session *s) {
    traj_header h = {
        .start = s->start, .n_tokens = s->n, .n_prompt = s->o.n_prompt, .mask_id = s->info->mask_id};
    s->policy = s->o.policy;
    s->params = s->o.params;
    s->T = session_planned(&h, s->policy, &s->params, 0, s->m0);
    s->n_bans = 0;
    memset(s->pinned, 0, (size_t)s->n * sizeof *s->pinned);
}

static void lay_out(session *s) {
    for (int i = 0; i < s->n; i++) {
        s->start[i] = i < s->o.n_prompt ? s->o.prompt[i] : s->info->mask_id;
        s->m0 += s->start[i] == s->info->mask_id;
    }
    memcpy(s->tokens, s->start, (size_t)s->n * sizeof *s->tokens);
    s->o.prompt = NULL; /* borrowed for this call only */
    session_as_opened(s);
    s->origin = blocks_origin(s->start, s->n, s->o.n_prompt, s->info->mask_id);
}

int session_open(session **out, denoiser *d, const session_opts *o, err *e) {
    *out = NULL;
    int rc = check_options(denoiser_get_info(d), o, e);
    if (rc) return rc;
    session *s = mem_new(1, sizeof *s);
    if (!s) return err_set(e, ERR_NO_MEMORY, "out of memory for a session");
    *s = (session){.d = d, .info = denoiser_get_info(d), .o = *o, .n = o->n_prompt + o->length};
    if (s->o.top_k == 0) s->o.top_k = RECORD_TOP_K;
    rc = allocate(s, e);
    if (rc) {
        session_close(s);
        return rc;
    }
    lay_out(s);
    *out = s;
    return 0;
}

void session_close(session *s) {
    if (!s) return;
    if (!s->o.shared) pass_free(s->p);
    cache_close(&s->cache);
    free(s->start);
    free(s->tokens);
    free(s->bans);
    free(s->pinned);
    free(s->masked);
    free(s->scope);
    free(s->late);
    free(s->past);
    free(s->rows);
    free(s->revealed);
    free(s->taken);
    free(s->clean);
    free(s->clean_row);
    free(s->bare);
    session_forget(s);
    free(s);
}

/* ---- blocks ---- */

bool session_puts_back(const session *s) {
    return s->policy->remasks && s->policy->remasks(&s->params);
}

/* The block of the first mask that can be written; where tokens are put back, the one whose steps these are.
 */
static int current_block(const session *s, int length, int n_blocks) {
    if (session_puts_back(s)) return blocks_at(s->T, n_blocks, s->decoded);
    int front = blocks_front(s->tokens, s->pinned, s->n, s->info->mask_id);
    int b = front < 0 ? n_blocks - 1 : front < s->origin ? 0 : (front - s->origin) / length;
    return b < n_blocks ? b : n_blocks - 1;
}

/* Which step of the block is next. A block begins when the one before has no masks left, which may be before
 * its planned steps are over; so what counts are the steps that were taken in it. */
static int block_step(const session *s, const block *at, int planned) {
    int step = 0;
    if (session_puts_back(s)) return s->decoded - planned;
    for (int i = at->begin; i < at->end; i++) step += s->taken[i];
    return step;
}

/* The positions in scope are those before `end`; tokens can be put back from `begin` on. */
block session_block(const session *s) {
    int length = param_int(&s->params, "block-length");
    int n_blocks = blocks_count(length, s->n - s->origin);
    block at = {.whole = n_blocks == 1, .end = s->n, .masks = s->m0, .steps = s->T, .step = s->decoded};
    at.first = s->origin;
    at.nominal = blocks_nominal(&s->params, 0, n_blocks, s->m0);
    if (at.whole) return at;
    int b = current_block(s, length, n_blocks);
    at.begin = b ? s->origin + b * length : 0;
    at.first = s->origin + b * length;
    if (b < n_blocks - 1) at.end = at.first + length;
    at.steps = blocks_steps(s->T, n_blocks, b);
    at.step = block_step(s, &at, blocks_before(s->T, n_blocks, b));
    at.masks = 0;
    for (int i = at.begin; i < at.end; i++) at.masks += s->start[i] == s->info->mask_id;
    at.nominal = blocks_nominal(&s->params, b, n_blocks, at.masks);
    return at;
}

/* ---- looking at it ---- */

denoiser *session_denoiser(session *s) {
    return s->d;
}

const atomic_bool *session_cancel(const session *s) {
    return s->o.cancel;
}

const policy *session_policy(const session *s) {
    return s->policy;
}

int32_t session_start_token(const session *s, int pos) {
    return s->start[pos];
}

bool session_can_go_on(const session *s) {
    for (int i = 0; i < s->n; i++) {
        if (s->start[i] == s->info->mask_id && !s->pinned[i]) return true;
    }
    return false;
}

bool session_done(const session *s) {
    if (session_puts_back(s) && s->decoded < s->T) return !session_can_go_on(s);
    for (int i = 0; i < s->n; i++) {
        if (s->tokens[i] == s->info->mask_id) return false;
    }
    return true;
}

int session_step_index(const session *s) {
    return s->k;
}

const int32_t *session_tokens(const session *s, int *n) {
    *n = s->n;
    return s->tokens;
}

static void stamp(char *buf, size_t size) {
    time_t now = time(NULL);
    struct tm utc;
    if (!gmtime_r(&now, &utc) || !strftime(buf, size, "%Y-%m-%dT%H:%M:%SZ", &utc)) buf[0] = '\0';
}

void session_header(const session *s, traj_header *h) {
    const denoiser_info *i = s->info;
    *h = (traj_header){
        .n_vocab = i->n_vocab, .mask_id = i->mask_id, .eos_id = i->eos_id, .shifted = i->shifted};
    memcpy(h->model_name, i->name, sizeof h->model_name);
    memcpy(h->model_arch, i->arch, sizeof h->model_arch);
    memcpy(h->fingerprint, i->fingerprint, sizeof h->fingerprint);
    memcpy(h->dtype, i->dtype, sizeof h->dtype);
    snprintf(h->policy, sizeof h->policy, "%s", s->o.policy->name);
    h->params = s->o.params;
    h->seed = s->o.seed;
    snprintf(h->device, sizeof h->device, "%s", i->device);
    snprintf(h->precision, sizeof h->precision, "%s", i->precision);
    h->threads = kernels_threads();
    stamp(h->created, sizeof h->created);
    h->n_prompt = s->o.n_prompt;
    h->n_tokens = s->n;
    h->start = s->start;
}
