/* export_csv.c - a trajectory as a table: one row for each step and masked position. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "replay/export_impl.h"
#include "replay/format.h"

int export_write_csv(const trajectory *const *runs, int n, const export_opts *o, strbuf *out, err *e) {
    (void)n, (void)o;
    return replay_export_csv(runs[0], out, e);
}

/* A field's bytes, quoted (RFC 4180) when they need it. Bytes that are not UTF-8 and control characters other
 * than tab and line ends are written as \xNN, a backslash as \\. */
static void put_text(strbuf *out, const char *s, size_t n) {
    bool quote = n && (s[0] == ' ' || s[n - 1] == ' ');
    for (size_t i = 0; i < n; i++) quote |= s[i] == '"' || s[i] == ',' || s[i] == '\n' || s[i] == '\r';
    if (quote) strbuf_putc(out, '"');
    for (size_t i = 0, k; i < n; i += k) {
        unsigned char c = (unsigned char)s[i];
        k = 1;
        if (c >= 0x80) {
            size_t ok = json_utf8_prefix(s + i, n - i);
            for (k = 0; k < ok && (unsigned char)s[i + k] >= 0x80; k++) strbuf_putc(out, s[i + k]);
        }
        if (!k || (c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f) {
            strbuf_printf(out, "\\x%02x", c);
            k = 1;
        } else if (c == '"') {
            strbuf_puts(out, "\"\"");
        } else if (c == '\\') {
            strbuf_puts(out, "\\\\");
        } else if (c < 0x80) {
            strbuf_putc(out, (char)c);
        }
    }
    if (quote) strbuf_putc(out, '"');
}

static void put_token(strbuf *out, const trajectory *t, int32_t id) {
    size_t n;
    bool special;
    const char *s = format_text(t->texts, id, &n, &special);
    if (s) put_text(out, s, n);
}

static void put_real(strbuf *out, const double *v, int i) {
    strbuf_putc(out, ',');
    if (v && i >= 0) json_put_real(out, v[i]);
}

/* One row; i is the index in masked[], or -1 for a position that an intervention changed while it was not
 * masked. */
static void put_row(strbuf *out, const trajectory *t, const step_record *r, int pos, int i, int32_t now,
                    int rank) {
    int c = record_cand_index(r, pos);
    double tis;
    strbuf_printf(out, "%d,%s,%d,", r->step, step_kind_name(r->kind), pos);
    put_token(out, t, now);
    put_real(out, r->entropy, i);
    put_real(out, r->confidence, i);
    put_real(out, r->margin, i);
    strbuf_putc(out, ',');
    if (r->argmax && i >= 0) strbuf_printf(out, "%d", r->argmax[i]);
    strbuf_putc(out, ',');
    if (r->argmax && i >= 0) put_token(out, t, r->argmax[i]);
    strbuf_printf(out, ",%d", c >= 0);
    put_real(out, &tis, record_tis_at(r, pos, &tis) ? 0 : -1);
    put_real(out, r->gate, c);
    put_real(out, r->penalty, c);
    put_real(out, r->score, c);
    if (rank < 0) {
        strbuf_puts(out, ",0,,,\n");
        return;
    }
    strbuf_printf(out, ",1,%d,%d,", rank, r->writes[rank].token);
    put_token(out, t, r->writes[rank].token);
    strbuf_putc(out, '\n');
}

static void put_step(strbuf *out, const trajectory *t, const step_record *r, const int32_t *tokens,
                     int *rank_of) {
    for (int i = 0; i < t->head.n_tokens; i++) rank_of[i] = -1;
    for (int i = 0; i < r->n_writes; i++) rank_of[r->writes[i].pos] = i;
    for (int pos = 0; pos < t->head.n_tokens; pos++) {
        int i = record_masked_index(r, pos);
        if (i >= 0 || rank_of[pos] >= 0) put_row(out, t, r, pos, i, tokens[pos], rank_of[pos]);
    }
}

int replay_export_csv(const trajectory *t, strbuf *out, err *e) {
    size_t n = (size_t)t->head.n_tokens;
    int32_t *tokens = mem_new(n, sizeof *tokens);
    int *rank_of = mem_new(n, sizeof *rank_of), rc = 0;
    strbuf_puts(
        out,
        "step,kind,pos,text,entropy,confidence,margin,argmax,argmax_text,candidate,tis,gate,penalty,score,"
        "written,rank,token,token_text\n");
    if (tokens && rank_of) memcpy(tokens, t->head.start, n * sizeof *tokens);
    for (int k = 0; tokens && rank_of && k < t->n_records; k++) {
        const step_record *r = t->records[k];
        put_step(out, t, r, tokens, rank_of);
        for (int i = 0; i < r->n_writes; i++) tokens[r->writes[i].pos] = r->writes[i].token;
    }
    if (!tokens || !rank_of) {
        rc = err_set(e, ERR_NO_MEMORY, "export: out of memory");
    } else if (out->failed) {
        rc = export_check(out, e);
    }
    free(tokens);
    free(rank_of);
    return rc;
}
