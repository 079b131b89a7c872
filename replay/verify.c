/* verify.c - run a recording again and name the first difference.
 *
 * The session of the model follows the recording: a decode step is proposed anew and compared before it is
 * committed, an intervention is taken over. Tokens and their order must be equal. Numbers are measured
 * against the largest magnitude of their kind in the step: rounding of sums moves all numbers of a kind by
 * about as much, small ones relatively more. The first difference is named; as long as the choices are equal
 * the run goes on, so that the distance is that of the whole recording. */
#include "replay/replay.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "replay/format.h"

/* Below this magnitude distances count as absolute: what is left is rounding of numbers that cancelled. */
static const double FLOOR = 1e-5;

typedef struct comparison {
    const step_record *ours, *theirs;
    token_texts texts;
    double tolerance;
    bool exact, apart; /* apart: the two are in different states from here on */
    verify_report *rep;
} comparison;

static void differ(comparison *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void differ(comparison *c, const char *fmt, ...) {
    va_list ap;
    if (!c->rep->same) return;
    c->rep->same = false;
    int n = snprintf(c->rep->where, sizeof c->rep->where, "step %d, ", c->theirs->step);
    va_start(ap, fmt);
    vsnprintf(c->rep->where + n, sizeof c->rep->where - (size_t)n, fmt, ap);
    va_end(ap);
}

/* 'a', or its number when it has no text to show. */
static const char *show_token(const comparison *c, int32_t id, char buf[48]) {
    size_t n;
    bool special, plain;
    const char *s = format_text(c->texts, id, &n, &special);
    plain = s && n && n < 32 && json_utf8_prefix(s, n) == n;
    for (size_t i = 0; plain && i < n; i++) {
        bool c1 =
            (unsigned char)s[i] == 0xc2 && (unsigned char)s[i + 1] < 0xa0; /* i + 1 < n in valid UTF-8 */
        plain = (unsigned char)s[i] >= 0x20 && s[i] != 0x7f && !c1;
    }
    if (plain) {
        snprintf(buf, 48, "'%.*s'", (int)n, s);
    } else {
        snprintf(buf, 48, "token %d", id);
    }
    return buf;
}

/* positions NULL: single numbers of the step. */
static void compare_reals(comparison *c, const char *kind, const int *positions, const double *a,
                          const double *b, int n) {
    double largest = FLOOR;
    if (n == 0) return;
    if (!a != !b) {
        differ(c, "%s: %s", kind, b ? "recorded, but not computed now" : "computed now, but not recorded");
        return;
    }
    for (int i = 0; a && i < n; i++) largest = fmax(largest, fmax(fabs(a[i]), fabs(b[i])));
    for (int i = 0; a && i < n; i++) {
        double rel = fabs(a[i] - b[i]) / largest;
        char where[32] = "";
        if (rel > c->rep->max_rel) c->rep->max_rel = rel;
        if (c->exact ? a[i] == b[i] : rel <= c->tolerance) continue;
        if (positions) snprintf(where, sizeof where, "position %d, ", positions[i]);
        differ(c, "%s%s: got %.17g, recorded %.17g (relative %.2g)", where, kind, a[i], b[i], rel);
    }
}

static void compare_real(comparison *c, const char *kind, double a, double b) {
    compare_reals(c, kind, NULL, &a, &b, 1);
}

/* Whether the lists are equal. */
static bool compare_positions(comparison *c, const char *kind, const int *a, int n_a, const int *b, int n_b) {
    for (int i = 0; i < n_a || i < n_b; i++) {
        if (i < n_a && i < n_b && a[i] == b[i]) continue;
        bool extra = i >= n_b || (i < n_a && a[i] < b[i]);
        differ(c, "position %d: %s %s", extra ? a[i] : b[i], extra ? "now among the" : "no longer among the",
               kind);
        return false;
    }
    return true;
}

/* Two tokens that are nearly equally likely may trade places on another processor, unless every digit counts.
 */
static void compare_tops(comparison *c) {
    const step_record *a = c->ours, *b = c->theirs;
    char x[48], y[48];
    for (int i = 0; i < b->n_masked; i++) {
        bool near = !c->exact && b->margin[i] <= c->tolerance;
        if (a->argmax[i] != b->argmax[i] && !near) {
            differ(c, "position %d, argmax: got %s, recorded %s", b->masked[i],
                   show_token(c, a->argmax[i], x), show_token(c, b->argmax[i], y));
        }
    }
    if (!a->top || !b->top) return;
    int k = a->top_k < b->top_k ? a->top_k : b->top_k;
    for (int i = 0; i < b->n_masked; i++) {
        for (int j = 0; j < k; j++) {
            token_prob p = a->top[(size_t)i * (size_t)a->top_k + (size_t)j],
                       q = b->top[(size_t)i * (size_t)b->top_k + (size_t)j];
            double rel = fabs(p.p - q.p);
            if (rel > c->rep->max_rel) c->rep->max_rel = rel;
            if (c->exact ? p.p != q.p : rel > c->tolerance) {
                differ(c, "position %d, top %d: got %.17g, recorded %.17g", b->masked[i], j + 1, p.p, q.p);
            } else if (c->exact && p.id != q.id) {
                differ(c, "position %d, top %d: got %s, recorded %s", b->masked[i], j + 1,
                       show_token(c, p.id, x), show_token(c, q.id, y));
            }
        }
    }
}

/* The write at rank i was another one, or only one of the two wrote that many. */
static void name_choice(comparison *c, int i) {
    const step_record *a = c->ours, *b = c->theirs;
    const step_write *ours = i < a->n_writes ? &a->writes[i] : NULL;
    const step_write *theirs = i < b->n_writes ? &b->writes[i] : NULL;
    char x[48], y[48];
    assert(ours || theirs);
    if (!theirs) {
        differ(c, "position %d: wrote %s, recorded nothing", ours->pos, show_token(c, ours->token, x));
    } else if (!ours) {
        differ(c, "position %d: not written, recorded %s", theirs->pos, show_token(c, theirs->token, y));
    } else if (ours->pos != theirs->pos) {
        differ(c, "rank %d: wrote position %d, recorded position %d", i, ours->pos, theirs->pos);
    } else {
        differ(c, "position %d: wrote %s, recorded %s", theirs->pos, show_token(c, ours->token, x),
               show_token(c, theirs->token, y));
    }
}

static void compare_writes(comparison *c) {
    const step_record *a = c->ours, *b = c->theirs;
    for (int i = 0; i < a->n_writes || i < b->n_writes; i++) {
        bool both = i < a->n_writes && i < b->n_writes;
        if (both && a->writes[i].pos == b->writes[i].pos && a->writes[i].token == b->writes[i].token)
            continue;
        c->rep->choice_changed = c->apart = true;
        name_choice(c, i);
        return;
    }
}

static void compare_write_numbers(comparison *c) {
    const step_record *a = c->ours, *b = c->theirs;
    int n = b->n_writes, *pos = mem_new((size_t)n, sizeof *pos);
    double *v = mem_new(4 * (size_t)n, sizeof *v);
    for (int i = 0; v && pos && i < n; i++) {
        pos[i] = b->writes[i].pos;
        v[i] = a->writes[i].p;
        v[n + i] = b->writes[i].p;
        v[2 * n + i] = a->writes[i].score;
        v[3 * n + i] = b->writes[i].score;
    }
    if (v && pos) {
        compare_reals(c, "p of the write", pos, v, v + n, n);
        compare_reals(c, "score of the write", pos, v + 2 * (size_t)n, v + 3 * (size_t)n, n);
    }
    free(pos);
    free(v);
}

static void compare_candidates(comparison *c) {
    const step_record *a = c->ours, *b = c->theirs;
    if (!compare_positions(c, "candidates", a->cand, a->n_cand, b->cand, b->n_cand)) return;
    compare_reals(c, "TIS", b->cand, a->tis, b->tis, b->n_cand);
    compare_reals(c, "gate", b->cand, a->gate, b->gate, b->n_cand);
    compare_reals(c, "penalty", b->cand, a->penalty, b->penalty, b->n_cand);
    compare_reals(c, "score", b->cand, a->score, b->score, b->n_cand);
    compare_reals(c, "norm of delta e", b->cand, a->delta_e_norm, b->delta_e_norm, b->n_cand);
}

static void compare_observed(comparison *c) {
    const step_record *a = c->ours, *b = c->theirs;
    if (!a->n_observed || !b->n_observed) return;
    if (compare_positions(c, "observed", a->observed, a->n_observed, b->observed, b->n_observed))
        compare_reals(c, "observed TIS", b->observed, a->observed_tis, b->observed_tis, b->n_observed);
}

/* A choice is named before the numbers that led to it. */
static void compare_steps(comparison *c) {
    const step_record *a = c->ours, *b = c->theirs;
    if (a->T != b->T || a->t != b->t)
        differ(c, "t of T: got %d of %d, recorded %d of %d", a->t, a->T, b->t, b->T);
    c->apart = !compare_positions(c, "masked", a->masked, a->n_masked, b->masked, b->n_masked);
    if (c->apart) return;
    compare_writes(c);
    compare_reals(c, "entropy", b->masked, a->entropy, b->entropy, b->n_masked);
    compare_reals(c, "confidence", b->masked, a->confidence, b->confidence, b->n_masked);
    compare_reals(c, "margin", b->masked, a->margin, b->margin, b->n_masked);
    compare_real(c, "total entropy", a->total_entropy, b->total_entropy);
    compare_tops(c);
    compare_candidates(c);
    compare_real(c, "h_t", a->h_t, b->h_t);
    compare_real(c, "lambda_t", a->lambda_t, b->lambda_t);
    compare_observed(c);
    if (!c->apart) compare_write_numbers(c);
    compare_real(c, "nfe", a->nfe, b->nfe);
    if (a->backward_rows != b->backward_rows) {
        differ(c, "backward rows: got %lld, recorded %lld", (long long)a->backward_rows,
               (long long)b->backward_rows);
    }
}

/* What a model must share with the recording for a run to mean anything. */
static int check_model(const replay *r, const model *m, err *e) {
    const traj_header *h = &r->traj.head;
    const denoiser_info *info = denoiser_get_info(m->d);
    if (!policy_find(h->policy)) {
        return err_set(e, ERR_UNSUPPORTED, "policy \"%s\" is unknown, expected one of: %s", h->policy,
                       policy_names());
    }
    if (r->texts->params_extra) {
        return err_set(e, ERR_UNSUPPORTED, "parameters that this version does not know: %s",
                       r->texts->params_extra);
    }
    if (info->n_vocab != h->n_vocab || info->mask_id != h->mask_id || info->shifted != h->shifted) {
        return err_set(
            e, ERR_BAD_ARGUMENT,
            "recorded with another model: %s, %d tokens, mask %d; the given one is %s, %d tokens, mask %d",
            h->model_name, h->n_vocab, h->mask_id, info->name, info->n_vocab, info->mask_id);
    }
    return 0;
}

static int open_session(session **s, const replay *r, const model *m, err *e) {
    const traj_header *h = &r->traj.head;
    int prompt = session_prompt(h);
    session_opts o = {.prompt = h->start,
                      .n_prompt = prompt,
                      .length = h->n_tokens - prompt,
                      .policy = policy_find(h->policy),
                      .params = h->params,
                      .seed = h->seed};
    for (int i = 0; i < r->traj.n_records; i++) {
        const step_record *rec = r->traj.records[i];
        if (rec->n_observed > 0) o.observe_tis = true;
        if (!o.top_k && rec->kind == STEP_DECODE) o.top_k = rec->top_k;
    }
    return session_open(s, m->d, &o, e);
}

/* One recorded step, committed unless the states are apart from then on. */
static int follow(session *s, comparison *c, const trajectory *t, int k, int32_t *tokens, err *e) {
    const step_record *rec = t->records[k], *ours = NULL;
    c->theirs = rec;
    if (rec->kind != STEP_DECODE) {
        session_state to = session_state_of(t, k + 1, tokens);
        return session_seek(s, &to, e);
    }
    int rc = session_propose(s, &ours, e);
    if (rc) return rc;
    c->ours = ours;
    if (!ours) {
        c->apart = true;
        differ(c, "nothing is masked any more, recorded %d writes", rec->n_writes);
    } else {
        compare_steps(c);
        if (!c->apart) rc = session_commit(s, ours, e);
    }
    record_unref(ours);
    return rc;
}

int replay_verify(const replay *r, const model *m, double tolerance, bool exact, verify_report *rep, err *e) {
    const trajectory *t = &r->traj;
    session *s = NULL;
    int32_t *tokens = NULL;
    *rep = (verify_report){.same = true};
    comparison c = {.texts = t->texts, .tolerance = tolerance, .exact = exact, .rep = rep};
    int rc = check_model(r, m, e);
    if (!rc) rc = open_session(&s, r, m, e);
    if (!rc && !(tokens = mem_new((size_t)t->head.n_tokens, sizeof *tokens))) {
        rc = err_set(e, ERR_NO_MEMORY, "out of memory");
    }
    for (int k = 0; k < t->n_records && !c.apart && !rc; k++) {
        rc = follow(s, &c, t, k, tokens, e);
        if (rc) err_prefix(e, "step %d", k);
        if (!rc) rep->steps_checked++;
    }
    if (!rc && rep->same && r->contradiction[0]) {
        rep->same = false;
        snprintf(rep->where, sizeof rep->where, "the steps agree, but %s", r->contradiction);
    }
    free(tokens);
    session_close(s);
    if (rc) err_prefix(e, "%.160s", r->path);
    return rc;
}
