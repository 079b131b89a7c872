/* export_impl.h - what the files export_*.c share: the formats, quoting, numbers. Private to this room. */
#ifndef TABES_REPLAY_EXPORT_IMPL_H
#define TABES_REPLAY_EXPORT_IMPL_H

#include "replay/replay.h"
#include "replay/visible.h"

/* One format, one file: export_write_json is in export_json.c. */
#define X(name, ...)                                                                                         \
    int export_write_##name(const trajectory *const *runs, int n, const export_opts *o, strbuf *out, err *e);
EXPORT_FORMATS(X)
#undef X

/* How visible text is quoted for the place where it goes. */
typedef void export_quote(strbuf *out, const char *text);
export_quote export_quote_none;     /* for text that is quoted later */
export_quote export_quote_xml;      /* text and attributes of HTML and SVG */
export_quote export_quote_json;     /* inside a string; '<' too, so that no text can end a script element */
export_quote export_quote_markdown; /* a paragraph or a table's cell */

/* Bytes from outside as visible text (see visible.h), quoted. */
void export_put_bytes(strbuf *out, const char *s, size_t n, export_quote *quote);
void export_put_text(strbuf *out, const char *s, export_quote *quote); /* up to the NUL */

/* One token for a table: blanks as a middle dot, "<mask>" for the mask, "#17" when its text is unknown. */
void export_put_token(strbuf *out, const trajectory *t, int32_t id, export_quote *quote);

/* The number with so many significant digits, and "null" when it is not finite. */
void export_put_number(strbuf *out, double v, int digits);

/* "boe (rho 0.5, steps 6)": the policy with the parameters that a person set. */
void export_put_policy(strbuf *out, const char *name, const param_set *params, export_quote *quote);

/* Mean entropy of the masked positions, or NAN when the record does not know it. */
double export_mean_entropy(const step_record *r);

/* 0, or ERR_NO_MEMORY when the text outgrew its buffer. */
int export_check(const strbuf *out, err *e) MUST_CHECK;

#endif
