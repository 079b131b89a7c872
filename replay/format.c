/* format.c - header, step and closing line as JSON trees. Texts ride along: a token's text is in the first
 * line where its id occurs, so a reader that stops anywhere has every text it needs. */
#include "replay/format.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"

const char *format_text(token_texts texts, int32_t id, size_t *n, bool *special) {
    *n = 0;
    *special = false;
    return texts.text && id >= 0 ? texts.text(texts.ctx, id, n, special) : NULL;
}

const char *replay_text(const void *ctx, int32_t id, size_t *len, bool *special) {
    const struct replay_texts *t = ctx;
    if (id < 0 || id >= t->n_vocab) return NULL;
    *len = t->of[id].n;
    *special = t->of[id].special;
    return t->of[id].bytes;
}

const struct replay_texts *replay_kept(token_texts texts) {
    return texts.text == replay_text ? texts.ctx : NULL;
}

/* "a" when it is plain text; {"hex": "e28a"} or {"text": "<eos>", "special": true} when it is not. */
static void add_text(json_out *o, cJSON *to, text_log *log, int32_t id) {
    size_t n;
    bool special;
    if (o->failed || id < 0 || id >= log->n_vocab || log->seen[id]) return;
    log->seen[id] = true;
    const char *s = format_text(log->texts, id, &n, &special);
    if (!s || n > MAX_TOKEN_TEXT) return;
    char key[16], *copy = mem_new(2 * n + 1, 1);
    if (!copy) {
        o->failed = true;
        return;
    }
    snprintf(key, sizeof key, "%d", id);
    bool plain = json_utf8_prefix(s, n) == n;
    for (size_t i = 0; i < n && !plain; i++) snprintf(copy + 2 * i, 3, "%02x", (unsigned char)s[i]);
    if (plain) memcpy(copy, s, n);
    if (plain && !special) {
        json_text(o, to, key, copy);
    } else {
        cJSON *obj = json_object(o, to, key);
        json_text(o, obj, plain ? "text" : "hex", copy);
        if (special) json_bool(o, obj, "special", true);
    }
    free(copy);
}

/* Adds "texts" unless it would be empty. */
static void attach_texts(json_out *o, cJSON *root, cJSON *texts) {
    if (o->failed || !texts->child) {
        cJSON_Delete(texts);
    } else if (!cJSON_AddItemToObject(root, "texts", texts)) {
        cJSON_Delete(texts);
        o->failed = true;
    }
}

static cJSON *finish(const json_out *o, cJSON *root) {
    if (!o->failed) return root;
    cJSON_Delete(root);
    return NULL;
}

/* Adds `obj` (taken) under `key`, with the fields of `extra`, the text of an object, at its end. */
static void attach(json_out *o, cJSON *root, const char *key, cJSON *obj, const char *extra) {
    strbuf b;
    strbuf_init(&b, MAX_LINE);
    if (!o->failed && json_put_object(&b, obj, extra, NULL)) o->failed = true;
    json_raw(o, root, key, b.data);
    strbuf_release(&b);
    cJSON_Delete(obj);
}

/* Fields are spelt with '_', flags with '-'. */
static const char *field_name(const char *flag, char buf[64]) {
    snprintf(buf, 64, "%s", flag);
    for (char *p = buf; *p; p++) *p = *p == '-' ? '_' : *p;
    return buf;
}

static void add_params(json_out *o, cJSON *root, const param_set *ps, const char *extra) {
    char name[64];
    cJSON *params = json_object(o, NULL, NULL), *given;
    for (int i = 0; i < ps->n; i++) {
        const param_def *d = ps->defs[i];
        field_name(d->name, name);
        if (d->type == PARAM_CHOICE) {
            json_text(o, params, name, d->choices[(int)ps->v[i]]);
        } else if (d->type == PARAM_BOOL) {
            json_bool(o, params, name, ps->v[i] != 0);
        } else {
            json_real(o, params, name, ps->v[i]);
        }
    }
    attach(o, root, "params", params, extra);
    given = o->failed ? NULL : cJSON_AddArrayToObject(root, "given");
    if (!given) o->failed = true;
    for (int i = 0; i < ps->n && !o->failed; i++) {
        if (!ps->given[i]) continue;
        cJSON *item = cJSON_CreateString(field_name(ps->defs[i]->name, name));
        if (!item || !cJSON_AddItemToArray(given, item)) o->failed = true;
    }
}

cJSON *format_header(json_out *o, const traj_header *h, text_log *log) {
    const struct replay_texts *kept = replay_kept(log->texts);
    cJSON *root = json_object(o, NULL, NULL);
    json_text(o, root, "type", "header");
    json_text(o, root, "schema", SCHEMA_NAME);
    json_text(o, root, "version", kept ? kept->version : SCHEMA_VERSION);
    json_text(o, root, "created", h->created);
    cJSON *m = json_object(o, NULL, NULL);
    json_text(o, m, "name", h->model_name);
    json_text(o, m, "arch", h->model_arch);
    json_text(o, m, "fingerprint", h->fingerprint);
    json_text(o, m, "dtype", h->dtype);
    json_int(o, m, "n_vocab", h->n_vocab);
    json_int(o, m, "mask_id", h->mask_id);
    if (h->eos_id >= 0) json_int(o, m, "eos_id", h->eos_id);
    json_bool(o, m, "shifted", h->shifted);
    attach(o, root, "model", m, kept ? kept->model_extra : NULL);
    json_text(o, root, "policy", h->policy);
    add_params(o, root, &h->params, kept ? kept->params_extra : NULL);
    char seed[24];
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)h->seed);
    json_text(o, root, "seed", seed);
    json_text(o, root, "device", h->device);
    json_text(o, root, "precision", h->precision);
    json_int(o, root, "threads", h->threads);
    json_int(o, root, "n_prompt", h->n_prompt);
    json_ints(o, root, "start", h->start, h->n_tokens);
    cJSON *texts = json_object(o, NULL, NULL);
    bool all = h->n_vocab <= ALL_TEXTS;
    int n = all ? h->n_vocab : h->n_tokens;
    for (int i = 0; i < n; i++) add_text(o, texts, log, all ? i : h->start[i]);
    add_text(o, texts, log, h->mask_id);
    attach_texts(o, root, texts);
    return finish(o, root);
}

static void add_top(json_out *o, cJSON *root, const step_record *r) {
    strbuf ids, ps;
    strbuf_init(&ids, MAX_LINE);
    strbuf_init(&ps, MAX_LINE);
    for (int i = 0; i < r->n_masked; i++) {
        const token_prob *row = r->top + (size_t)i * (size_t)r->top_k;
        strbuf_puts(&ids, i ? ",[" : "[[");
        strbuf_puts(&ps, i ? ",[" : "[[");
        for (int j = 0; j < r->top_k && row[j].id >= 0; j++) {
            strbuf_printf(&ids, j ? ",%d" : "%d", row[j].id);
            if (j) strbuf_putc(&ps, ',');
            if (!json_put_real(&ps, row[j].p)) {
                o->failed = true;
                o->not_finite = "top_p";
            }
        }
        strbuf_putc(&ids, ']');
        strbuf_putc(&ps, ']');
    }
    strbuf_puts(&ids, r->n_masked ? "]" : "[]");
    strbuf_puts(&ps, r->n_masked ? "]" : "[]");
    if (ids.failed || ps.failed) o->failed = true;
    json_int(o, root, "top_k", r->top_k);
    json_raw(o, root, "top_ids", ids.data);
    json_raw(o, root, "top_p", ps.data);
    strbuf_release(&ids);
    strbuf_release(&ps);
}

static void add_candidates(json_out *o, cJSON *root, const step_record *r) {
    json_ints(o, root, "candidates", r->cand, r->n_cand);
    if (r->score) json_reals(o, root, "score", r->score, r->n_cand);
    if (r->tis) json_reals(o, root, "tis", r->tis, r->n_cand);
    if (r->gate) json_reals(o, root, "gate", r->gate, r->n_cand);
    if (r->penalty) json_reals(o, root, "penalty", r->penalty, r->n_cand);
    if (r->delta_e_norm) json_reals(o, root, "delta_e_norm", r->delta_e_norm, r->n_cand);
    if (r->tis_name) json_text(o, root, "tis_name", r->tis_name);
    json_real(o, root, "h_t", r->h_t);
    json_real(o, root, "lambda_t", r->lambda_t);
}

static void add_setting(json_out *o, cJSON *root, const step_setting *s) {
    cJSON *obj = json_object(o, root, "setting");
    strbuf bans;
    if (o->failed) return;
    json_text(o, obj, "policy", s->policy);
    add_params(o, obj, &s->params, s->extra_json);
    json_int(o, obj, "T", s->T);
    strbuf_init(&bans, MAX_LINE);
    for (int i = 0; i < s->n_bans; i++)
        strbuf_printf(&bans, "%s[%d,%d]", i ? "," : "[", s->bans[i].pos, (int)s->bans[i].token);
    strbuf_puts(&bans, s->n_bans ? "]" : "[]");
    if (bans.failed) o->failed = true;
    json_raw(o, obj, "bans", bans.data);
    strbuf_release(&bans);
    json_ints(o, obj, "pins", s->pins, s->n_pins);
}

static void add_writes(json_out *o, cJSON *root, const step_record *r) {
    cJSON *writes = o->failed ? NULL : cJSON_AddArrayToObject(root, "writes");
    if (!writes) o->failed = true;
    for (int i = 0; i < r->n_writes && !o->failed; i++) {
        const step_write *w = &r->writes[i];
        cJSON *obj = json_object(o, NULL, NULL);
        json_int(o, obj, "pos", w->pos);
        json_int(o, obj, "token", w->token);
        json_real(o, obj, "p", w->p);
        json_real(o, obj, "score", w->score);
        if (o->failed || !cJSON_AddItemToArray(writes, obj)) {
            cJSON_Delete(obj);
            o->failed = true;
        }
    }
}

static cJSON *step_texts(json_out *o, const step_record *r, text_log *log) {
    cJSON *texts = json_object(o, NULL, NULL);
    for (int i = 0; i < r->n_masked; i++) {
        if (r->argmax) add_text(o, texts, log, r->argmax[i]);
        for (int j = 0; r->top && j < r->top_k; j++) {
            add_text(o, texts, log, r->top[(size_t)i * (size_t)r->top_k + (size_t)j].id);
        }
    }
    for (int i = 0; i < r->n_writes; i++) add_text(o, texts, log, r->writes[i].token);
    for (int i = 0; r->setting && i < r->setting->n_bans; i++)
        add_text(o, texts, log, r->setting->bans[i].token);
    return texts;
}

cJSON *format_step(json_out *o, const step_record *r, text_log *log) {
    cJSON *root = json_object(o, NULL, NULL);
    json_text(o, root, "type", "step");
    json_int(o, root, "step", r->step);
    json_text(o, root, "kind", step_kind_name(r->kind));
    json_int(o, root, "t", r->t);
    json_int(o, root, "T", r->T);
    /* An intervention may know nothing of the masks. */
    if (r->kind == STEP_DECODE || r->n_masked > 0) json_ints(o, root, "masked", r->masked, r->n_masked);
    if (r->kind == STEP_DECODE || r->entropy) {
        json_reals(o, root, "entropy", r->entropy, r->entropy ? r->n_masked : 0);
        json_reals(o, root, "confidence", r->confidence, r->confidence ? r->n_masked : 0);
        json_reals(o, root, "margin", r->margin, r->margin ? r->n_masked : 0);
        json_ints(o, root, "argmax", r->argmax, r->argmax ? r->n_masked : 0);
    }
    if (r->top && r->top_k > 0) add_top(o, root, r);
    json_real(o, root, "total_entropy", r->total_entropy);
    if (r->n_cand > 0) add_candidates(o, root, r);
    if (r->n_observed > 0) {
        cJSON *seen = json_object(o, root, "observed");
        if (r->observed_name) json_text(o, seen, "name", r->observed_name);
        json_ints(o, seen, "positions", r->observed, r->n_observed);
        json_reals(o, seen, "tis", r->observed_tis, r->n_observed);
    }
    add_writes(o, root, r);
    if (r->setting) add_setting(o, root, r->setting);
    if (r->note) json_text(o, root, "note", r->note);
    json_real(o, root, "nfe", r->nfe);
    json_int(o, root, "backward_rows", r->backward_rows);
    json_real(o, root, "ms", r->ms);
    json_real(o, root, "observe_ms", r->observe_ms);
    attach_texts(o, root, step_texts(o, r, log));
    return finish(o, root);
}

cJSON *format_closing(json_out *o, const trajectory *t) {
    traj_totals sum = trajectory_totals(t, t->n_records);
    cJSON *root = json_object(o, NULL, NULL);
    json_text(o, root, "type", "closing");
    json_bool(o, root, "complete", t->complete);
    json_int(o, root, "steps", t->n_records);
    json_ints(o, root, "result", t->last, t->head.n_tokens);
    json_int(o, root, "written", sum.n_written);
    json_real(o, root, "nfe", sum.nfe);
    json_int(o, root, "backward_rows", sum.backward_rows);
    json_real(o, root, "ms", sum.ms);
    return finish(o, root);
}
