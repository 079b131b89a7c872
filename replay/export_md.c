/* export_md.c - a recording as a page of Markdown: what ran, what came out, what each step did. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "replay/export_impl.h"
#include "replay/format.h"

/* Beyond the first two a list loses its middle; a longer run of one token is counted. */
enum { MAX_ROWS = 60, MAX_WRITES = 12, LONG_RUN = 16 };

/* Is item i of n the first that is left out (`keep` are shown, half at each end)? Then *left gets how many
 * are.
 */
static bool skips(int i, int n, int keep, int *left) {
    *left = n - keep;
    return n > keep && i == keep / 2;
}

/* The recording ----------------------------------------------------------- */

static void row(strbuf *out, const char *name, const char *value) {
    strbuf_printf(out, "| %s | ", name);
    export_put_text(out, value, export_quote_markdown);
    strbuf_puts(out, " |\n");
}

static void put_params(strbuf *out, const param_set *ps) {
    char value[64];
    for (int i = 0; i < ps->n; i++) {
        strbuf_puts(out, i ? ", " : "");
        if (ps->given[i]) strbuf_puts(out, "**");
        export_quote_markdown(out, ps->defs[i]->name);
        strbuf_putc(out, ' ');
        export_quote_markdown(out, param_format(ps, i, value, sizeof value));
        if (ps->given[i]) strbuf_puts(out, "**");
    }
}

/* Tokens written, by person or policy; or positions that the policy put back to the mask. */
static int count_writes(const trajectory *t, bool back) {
    int n = 0;
    for (int k = 0; k < t->n_records; k++) {
        const step_record *r = t->records[k];
        for (int i = 0; i < r->n_writes && !(back && r->kind != STEP_DECODE); i++)
            n += (r->writes[i].token == t->head.mask_id) == back;
    }
    return n;
}

static void put_head(strbuf *out, const trajectory *t) {
    const traj_header *h = &t->head;
    traj_totals sum = trajectory_totals(t, t->n_records);
    char text[400];
    strbuf_puts(out, "# ");
    export_put_text(out, h->model_name, export_quote_markdown);
    strbuf_puts(out, ", ");
    export_put_text(out, h->policy, export_quote_markdown);
    int back = count_writes(t, true);
    strbuf_printf(out, ": %d tokens in %d steps", count_writes(t, false), t->n_records);
    if (back) strbuf_printf(out, ", %d put back", back);
    strbuf_puts(out, "\n\n| | |\n|---|---|\n");
    snprintf(text, sizeof text, "%s (%s, %s, %d tokens, fingerprint %s)", h->model_name, h->model_arch,
             h->dtype, h->n_vocab, h->fingerprint);
    row(out, "model", text);
    row(out, "policy", h->policy);
    strbuf_puts(out, "| parameters (bold: set by a person) | ");
    put_params(out, &h->params);
    strbuf_puts(out, " |\n");
    snprintf(text, sizeof text, "%llu", (unsigned long long)h->seed);
    row(out, "seed", text);
    snprintf(text, sizeof text, "%s, %s, %d threads", h->device, h->precision, h->threads);
    row(out, "device", text);
    row(out, "recorded", h->created);
    strbuf_printf(out, "| sequence | %d positions, ", h->n_tokens);
    if (h->n_prompt < h->n_tokens)
        strbuf_printf(out, "the generation begins at %d |\n", h->n_prompt);
    else
        strbuf_puts(out, "the blanks are in the prompt |\n");
    strbuf_puts(out, "| totals | ");
    export_put_number(out, sum.nfe, 6);
    strbuf_printf(out, " forward passes (NFE), %lld backward rows, ", (long long)sum.backward_rows);
    export_put_number(out, sum.ms, 4);
    strbuf_printf(out, " ms |\n| complete | %s |\n", t->complete ? "yes" : "no: masks are left");
}

/* Texts ------------------------------------------------------------------- */

/* A fence must be longer than any row of backticks inside. */
static void put_fence(strbuf *out, const char *text) {
    int longest = 2, now = 0;
    for (const char *s = text; *s; s++) {
        now = *s == '`' ? now + 1 : 0;
        if (now > longest) longest = now;
    }
    for (int i = 0; i <= longest; i++) strbuf_putc(out, '`');
}

/* Bytes of plain tokens that follow each other, read as one string so that split characters join. */
static void flush_plain(strbuf *out, strbuf *plain) {
    visible_scan scan = {.s = plain->data, .n = plain->len};
    visible v;
    while (visible_next(&scan, &v)) strbuf_puts(out, v.kind == VISIBLE_NEWLINE ? "\n" : v.text);
    if (plain->failed) out->failed = true;
    strbuf_share_fault(out, plain);
    strbuf_clear(plain);
}

/* A mask or a special token, `n` times. */
static void put_repeated(strbuf *out, const trajectory *t, int32_t id, int n) {
    for (int i = 0; i < (n > LONG_RUN ? 1 : n); i++) {
        if (id == t->head.mask_id)
            strbuf_puts(out, "\u2591");
        else
            export_put_token(out, t, id, export_quote_none);
    }
    if (n > LONG_RUN) strbuf_printf(out, "\u00D7%d", n);
}

static void put_tokens(strbuf *out, const trajectory *t, const int32_t *tokens) {
    strbuf plain;
    int count = t->head.n_tokens;
    strbuf_init(&plain, out->max);
    for (int i = 0, end; i < count; i = end) {
        size_t n;
        bool special;
        const char *s = format_text(t->texts, tokens[i], &n, &special);
        end = i + 1;
        if (s && !special && tokens[i] != t->head.mask_id) {
            strbuf_add(&plain, s, n);
            continue;
        }
        flush_plain(out, &plain);
        while (end < count && tokens[end] == tokens[i]) end++;
        put_repeated(out, t, tokens[i], end - i);
    }
    flush_plain(out, &plain);
    strbuf_release(&plain);
}

static void put_block(strbuf *out, const char *title, const trajectory *t, const int32_t *tokens) {
    strbuf text;
    strbuf_init(&text, out->max);
    put_tokens(&text, t, tokens);
    strbuf_printf(out, "\n## %s\n\n", title);
    put_fence(out, text.data);
    strbuf_puts(out, "text\n");
    strbuf_add(out, text.data, text.len);
    strbuf_puts(out, text.len && text.data[text.len - 1] == '\n' ? "" : "\n");
    put_fence(out, text.data);
    strbuf_putc(out, '\n');
    if (text.failed) out->failed = true;
    strbuf_share_fault(out, &text);
    strbuf_release(&text);
}

/* Steps ------------------------------------------------------------------- */

static void put_writes(strbuf *out, const trajectory *t, const step_record *r) {
    int left;
    for (int i = 0; i < r->n_writes; i++) {
        strbuf_puts(out, i ? ", " : "");
        if (skips(i, r->n_writes, MAX_WRITES, &left)) {
            strbuf_printf(out, "\u2026 %d more \u2026, ", left);
            i += left;
        }
        strbuf_printf(out, "%d: ", r->writes[i].pos);
        if (r->kind == STEP_DECODE && r->writes[i].token == t->head.mask_id)
            strbuf_puts(out, "put back");
        else
            export_put_token(out, t, r->writes[i].token, export_quote_markdown);
    }
}

static void put_step(strbuf *out, const trajectory *t, const step_record *r, double nfe) {
    double mean = export_mean_entropy(r);
    strbuf_printf(out, "| %d | %s | ", r->step + 1, step_kind_name(r->kind));
    put_writes(out, t, r);
    strbuf_puts(out, " | ");
    if (isfinite(mean)) export_put_number(out, mean, 4);
    strbuf_puts(out, " | ");
    export_put_number(out, nfe, 6);
    strbuf_puts(out, " |\n");
}

static void put_steps(strbuf *out, const trajectory *t) {
    double nfe = 0;
    int left;
    strbuf_puts(out,
                "\n## Steps\n\nStep n leads from state n-1 to state n. Written tokens stand as "
                "`position: token`, best first; the entropy is the mean of the positions that were masked "
                "before the step, in nats.\n\n"
                "| step | kind | written | mean entropy | NFE so far |\n|--:|---|---|--:|--:|\n");
    for (int k = 0; k < t->n_records; k++) {
        if (skips(k, t->n_records, MAX_ROWS, &left)) {
            strbuf_printf(out, "| \u2026 | | %d more steps | | |\n", left);
            for (int end = k + left; k < end; k++) nfe += t->records[k]->nfe;
        }
        nfe += t->records[k]->nfe;
        put_step(out, t, t->records[k], nfe);
    }
}

/* Interventions ----------------------------------------------------------- */

/* All that holds from here on. */
static void put_setting(strbuf *out, const trajectory *t, const step_setting *s) {
    strbuf_puts(out, "a person chose how to go on: ");
    export_put_policy(out, s->policy, &s->params, export_quote_markdown);
    strbuf_printf(out, ", %d planned steps", s->T);
    for (int i = 0; i < s->n_pins; i++) strbuf_printf(out, "%s%d", i ? ", " : ", pinned ", s->pins[i]);
    for (int i = 0; i < s->n_bans; i++) {
        strbuf_puts(out, i ? ", " : ", banned ");
        export_put_token(out, t, s->bans[i].token, export_quote_markdown);
        if (s->bans[i].pos < 0)
            strbuf_puts(out, " anywhere");
        else
            strbuf_printf(out, " at %d", s->bans[i].pos);
    }
}

static void put_by_hand(strbuf *out, const trajectory *t, const step_record *r) {
    strbuf_printf(out, "a person %s ", r->kind == STEP_FORCE ? "wrote" : "put back to the mask");
    for (int i = 0; i < r->n_writes; i++) {
        strbuf_printf(out, "%s%d", i ? ", " : "", r->writes[i].pos);
        if (r->kind != STEP_FORCE) continue;
        strbuf_puts(out, ": ");
        export_put_token(out, t, r->writes[i].token, export_quote_markdown);
    }
}

static void put_interventions(strbuf *out, const trajectory *t) {
    int n = 0;
    for (int k = 0; k < t->n_records; k++) {
        const step_record *r = t->records[k];
        if (r->kind == STEP_DECODE && !r->note) continue;
        strbuf_printf(out, "%s- step %d: ", n++ ? "" : "\n## Interventions and notes\n\n", k + 1);
        if (r->setting)
            put_setting(out, t, r->setting);
        else if (r->kind != STEP_DECODE)
            put_by_hand(out, t, r);
        if (r->note) {
            strbuf_puts(out, r->kind == STEP_DECODE ? "note: " : "; note: ");
            export_put_text(out, r->note, export_quote_markdown);
        }
        strbuf_putc(out, '\n');
    }
}

int export_write_md(const trajectory *const *runs, int n, const export_opts *o, strbuf *out, err *e) {
    const trajectory *t = runs[0];
    (void)n, (void)o, (void)e;
    put_head(out, t);
    put_block(out, "Prompt", t, t->head.start);
    put_block(out, "Result", t, t->last);
    put_steps(out, t);
    put_interventions(out, t);
    return 0;
}
