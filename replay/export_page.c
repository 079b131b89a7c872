/* export_page.c - header, texts and steps of one run as compact JSON. */
#include "replay/export_page.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "replay/format.h"

static void put_string(strbuf *out, const char *key, const char *s) {
    strbuf_printf(out, "\"%s\":\"", key);
    export_put_text(out, s, export_quote_json);
    strbuf_putc(out, '"');
}

static void put_real(strbuf *out, const char *key, double v, int digits) {
    strbuf_printf(out, ",\"%s\":", key);
    export_put_number(out, v, digits);
}

/* Whole multiples of a unit; a number that is not finite becomes null. */
static void put_multiple(strbuf *out, double v, double unit) {
    export_put_number(out, isfinite(v) ? round(v / unit) : v, 15);
}

static void put_multiples(strbuf *out, const char *key, const double *v, int n, double unit) {
    if (!v) return;
    strbuf_printf(out, ",\"%s\":[", key);
    for (int i = 0; i < n; i++) {
        if (i) strbuf_putc(out, ',');
        put_multiple(out, v[i], unit);
    }
    strbuf_putc(out, ']');
}

/* One number when all are the same, as gates and penalties often are. */
static void put_reals(strbuf *out, const char *key, const double *v, int n) {
    bool same = n > 0;
    if (!v) return;
    for (int i = 1; i < n; i++) same = same && !(v[i] < v[0]) && !(v[i] > v[0]);
    strbuf_printf(out, ",\"%s\":%s", key, same ? "" : "[");
    for (int i = 0; i < (same ? 1 : n); i++) {
        if (i) strbuf_putc(out, ',');
        export_put_number(out, v[i], 4);
    }
    if (!same) strbuf_putc(out, ']');
}

/* Texts ----------------------------------------------------------------- */

/* Which ids a run shows. */
static void see(bool *seen, const trajectory *t, int32_t id) {
    if (id >= 0 && id < t->head.n_vocab) seen[id] = true;
}

static void see_step(bool *seen, const trajectory *t, const step_record *r) {
    size_t n = r->top ? (size_t)r->n_masked * (size_t)r->top_k : 0;
    for (int i = 0; i < r->n_writes; i++) see(seen, t, r->writes[i].token);
    for (int i = 0; r->argmax && i < r->n_masked; i++) see(seen, t, r->argmax[i]);
    for (size_t i = 0; i < n; i++) see(seen, t, r->top[i].id);
    for (int i = 0; r->setting && i < r->setting->n_bans; i++) see(seen, t, r->setting->bans[i].token);
}

static bool all_plain(const char *s, size_t n) {
    visible_scan scan = {.s = s, .n = n};
    visible v;
    while (visible_next(&scan, &v)) {
        if (v.kind > VISIBLE_SPACE) return false;
    }
    return true;
}

/* Runs of one kind: ["t","abc"] text, ["n","\u21B5"] a line break, ["m","<U+202E>"] what stands for something
 * else, ["b","E2"] bytes of half a character, which the page joins with those of the next token. */
static void put_pieces(strbuf *out, const char *s, size_t n) {
    static const char kinds[] = {[VISIBLE_TEXT] = 't', [VISIBLE_SPACE] = 't', [VISIBLE_NEWLINE] = 'n',
                                 [VISIBLE_TAB] = 'm',  [VISIBLE_MARK] = 'm',  [VISIBLE_BYTE] = 'b'};
    visible_scan scan = {.s = s, .n = n};
    visible v;
    char kind = 0;
    while (visible_next(&scan, &v)) {
        if (kinds[v.kind] != kind || kind == 'n') {
            strbuf_printf(out, "%s[\"%c\",\"", kind ? "\"]," : "", kinds[v.kind]);
            kind = kinds[v.kind];
        }
        if (kind == 'b')
            strbuf_add(out, v.text + 1, 2);
        else
            export_quote_json(out, v.text);
    }
    if (kind) strbuf_puts(out, "\"]");
}

/* "abc" when it is plain text, else {"s":1,"p":[pieces]} with s for a special token. */
static void put_text(strbuf *out, const trajectory *t, int32_t id) {
    size_t n;
    bool special;
    const char *s = format_text(t->texts, id, &n, &special);
    strbuf_printf(out, "\"%d\":", id);
    if (!special && all_plain(s, n)) {
        strbuf_putc(out, '"');
        export_put_bytes(out, s, n, export_quote_json);
        strbuf_putc(out, '"');
        return;
    }
    strbuf_printf(out, "{\"s\":%d,\"p\":[", special);
    put_pieces(out, s, n);
    strbuf_puts(out, "]}");
}

static int put_texts(strbuf *out, const trajectory *t, err *e) {
    bool *seen = mem_new((size_t)t->head.n_vocab, sizeof *seen), any = false, special;
    size_t n;
    if (!seen) return err_set(e, ERR_NO_MEMORY, "export: out of memory");
    for (int i = 0; i < t->head.n_tokens; i++) see(seen, t, t->head.start[i]);
    for (int k = 0; k < t->n_records; k++) see_step(seen, t, t->records[k]);
    if (t->pending) see_step(seen, t, t->pending);
    strbuf_puts(out, ",\n\"texts\":{");
    for (int32_t id = 0; id < t->head.n_vocab; id++) {
        if (!seen[id] || !format_text(t->texts, id, &n, &special)) continue;
        if (any) strbuf_putc(out, ',');
        any = true;
        put_text(out, t, id);
    }
    strbuf_putc(out, '}');
    free(seen);
    return 0;
}

/* Header ---------------------------------------------------------------- */

static void put_params(strbuf *out, const param_set *ps) {
    char value[64];
    strbuf_puts(out, ",\"params\":[");
    for (int i = 0; i < ps->n; i++) {
        strbuf_puts(out, i ? ",[\"" : "[\"");
        export_quote_json(out, ps->defs[i]->name);
        strbuf_puts(out, "\",\"");
        export_quote_json(out, param_format(ps, i, value, sizeof value));
        strbuf_printf(out, "\",%d]", ps->given[i]);
    }
    strbuf_putc(out, ']');
}

static void put_head(strbuf *out, const trajectory *t) {
    const traj_header *h = &t->head;
    const struct {
        const char *key, *value;
    } names[] = {{"model", h->model_name},    {"arch", h->model_arch}, {"fingerprint", h->fingerprint},
                 {"dtype", h->dtype},         {"policy", h->policy},   {"device", h->device},
                 {"precision", h->precision}, {"created", h->created}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        put_string(out, names[i].key, names[i].value);
        strbuf_putc(out, ',');
    }
    /* The seed is text: 64 bits do not survive JavaScript. */
    strbuf_printf(out,
                  "\"seed\":\"%llu\",\"threads\":%d,\"vocab\":%d,\"mask\":%d,\"prompt\":%d,\"complete\":%s",
                  (unsigned long long)h->seed, h->threads, h->n_vocab, h->mask_id, h->n_prompt,
                  t->complete ? "true" : "false");
    put_params(out, &h->params);
    strbuf_puts(out, ",\n\"start\":[");
    for (int i = 0; i < h->n_tokens; i++) strbuf_printf(out, i ? ",%d" : "%d", h->start[i]);
    strbuf_putc(out, ']');
}

/* Steps ----------------------------------------------------------------- */

/* k: how many candidates of each masked position are listed (one number when it is the same for all), ti and
 * tp: their ids and probabilities, one after another. */
static void put_top(strbuf *out, const step_record *r) {
    strbuf ids, ps;
    if (!r->top || !r->top_k) return;
    strbuf_init(&ids, out->max);
    strbuf_init(&ps, out->max);
    strbuf_puts(out, ",\"k\":[");
    for (int i = 0; i < r->n_masked; i++) {
        const token_prob *row = &r->top[(size_t)i * (size_t)r->top_k];
        int k = 0;
        for (; k < r->top_k && row[k].id >= 0 && (k == 0 || round(row[k].p / PAGE_P) > 0); k++) {
            strbuf_printf(&ids, ids.len ? ",%d" : "%d", row[k].id);
            if (ps.len) strbuf_putc(&ps, ',');
            put_multiple(&ps, row[k].p, PAGE_P);
        }
        strbuf_printf(out, i ? ",%d" : "%d", k);
    }
    strbuf_puts(out, "],\"ti\":[");
    strbuf_add(out, ids.data, ids.len);
    strbuf_puts(out, "],\"tp\":[");
    strbuf_add(out, ps.data, ps.len);
    strbuf_putc(out, ']');
    if (ids.failed || ps.failed) out->failed = true;
    strbuf_share_fault(out, &ids);
    strbuf_share_fault(out, &ps);
    strbuf_release(&ids);
    strbuf_release(&ps);
}

static void put_known(strbuf *out, const step_record *r) {
    put_real(out, "mean", export_mean_entropy(r), 5);
    put_multiples(out, "h", r->entropy, r->n_masked, PAGE_NATS);
    put_multiples(out, "c", r->confidence, r->n_masked, PAGE_P);
    put_multiples(out, "m", r->margin, r->n_masked, PAGE_P);
    put_top(out, r);
}

/* Positions as indices into the masked ones. */
static void put_indices(strbuf *out, const char *key, const step_record *r, const int *pos, int n) {
    strbuf_printf(out, ",\"%s\":", key);
    if (n == r->n_masked) { /* all of them */
        strbuf_puts(out, "1");
        return;
    }
    for (int i = 0; i < n; i++) strbuf_printf(out, i ? ",%d" : "[%d", record_masked_index(r, pos[i]));
    strbuf_puts(out, n ? "]" : "[]");
}

static void put_scores(strbuf *out, const step_record *r) {
    if (r->n_cand) {
        put_indices(out, "cand", r, r->cand, r->n_cand);
        put_reals(out, "score", r->score, r->n_cand);
        put_reals(out, "tis", r->tis, r->n_cand);
        put_reals(out, "gate", r->gate, r->n_cand);
        put_reals(out, "pen", r->penalty, r->n_cand);
    }
    if (!r->tis && r->n_observed) {
        put_indices(out, "seen", r, r->observed, r->n_observed);
        put_reals(out, "seenTis", r->observed_tis, r->n_observed);
    }
    const char *name = r->tis_name ? r->tis_name : r->observed_name;
    if (!name) return;
    strbuf_putc(out, ',');
    put_string(out, "tisName", name);
}

static void put_writes(strbuf *out, const step_record *r) {
    strbuf_puts(out, ",\"w\":[");
    for (int i = 0; i < r->n_writes; i++) {
        strbuf_printf(out, "%s%d,%d,", i ? "," : "", r->writes[i].pos, r->writes[i].token);
        put_multiple(out, r->writes[i].p, PAGE_P);
    }
    strbuf_putc(out, ']');
}

/* What a person changed: all that holds from the next state on. */
static void put_setting(strbuf *out, const step_setting *s) {
    strbuf_puts(out, ",\"set\":{");
    put_string(out, "policy", s->policy);
    put_params(out, &s->params);
    strbuf_printf(out, ",\"T\":%d,\"pins\":[", s->T);
    for (int i = 0; i < s->n_pins; i++) strbuf_printf(out, i ? ",%d" : "%d", s->pins[i]);
    strbuf_puts(out, "],\"bans\":[");
    for (int i = 0; i < s->n_bans; i++)
        strbuf_printf(out, i ? ",[%d,%d]" : "[%d,%d]", s->bans[i].pos, s->bans[i].token);
    strbuf_puts(out, "]}");
}

static void put_step(strbuf *out, const step_record *r) {
    strbuf_printf(out, "{\"kind\":\"%s\",\"t\":%d,\"T\":%d", step_kind_name(r->kind), r->t, r->T);
    if (r->n_masked) put_known(out, r);
    put_scores(out, r);
    put_writes(out, r);
    put_real(out, "nfe", r->nfe, 6);
    strbuf_printf(out, ",\"rows\":%lld", (long long)r->backward_rows);
    put_real(out, "ms", r->ms, 4);
    if (r->setting) put_setting(out, r->setting);
    if (r->note) {
        strbuf_putc(out, ',');
        put_string(out, "note", r->note);
    }
    strbuf_putc(out, '}');
}

int export_page_run(strbuf *out, const trajectory *t, err *e) {
    strbuf_putc(out, '{');
    put_head(out, t);
    int rc = put_texts(out, t, e);
    strbuf_puts(out, ",\n\"steps\":[");
    for (int k = 0; k < t->n_records; k++) {
        strbuf_puts(out, k ? ",\n" : "\n");
        put_step(out, t->records[k]);
    }
    strbuf_puts(out, "\n]");
    if (t->pending) {
        strbuf_puts(out, ",\n\"pending\":");
        put_step(out, t->pending);
    }
    strbuf_putc(out, '}');
    return rc;
}

/* Colours --------------------------------------------------------------- */

static void put_stops(strbuf *out, const char *key, export_ramp r, bool dark) {
    int n;
    const uint32_t *stops = export_ramp_stops(r, dark, &n);
    strbuf_printf(out, ",\"%s\":[", key);
    for (int i = 0; i < n; i++) strbuf_printf(out, "%s\"#%06x\"", i ? "," : "", (unsigned)stops[i]);
    strbuf_putc(out, ']');
}

void export_page_colors(strbuf *out, const export_scale *s) {
    strbuf_puts(out, "\"scale\":{\"entropy\":");
    export_put_number(out, s->entropy_max, 6);
    put_real(out, "tis", s->tis_clip, 4);
    strbuf_printf(out, ",\"order\":%d},\n\"unit\":{\"nats\":1e-4,\"p\":1e-5},\n\"colors\":[", s->order_max);
    for (int i = 0; i < N_EXPORT_COLORS; i++) {
        const export_coloring *c = &export_colorings[i];
        strbuf_puts(out, i ? ",\n{" : "\n{");
        put_string(out, "name", c->name);
        strbuf_putc(out, ',');
        put_string(out, "title", c->title);
        strbuf_putc(out, ',');
        put_string(out, "help", c->help);
        put_stops(out, "dark", c->ramp, true);
        put_stops(out, "light", c->ramp, false);
        strbuf_putc(out, '}');
    }
    strbuf_puts(out, "]");
}
