/* read.c - trajectory files on their way in. Nothing in a file is believed before it is checked: a fault is
 * reported with the column of the value that is wrong.
 *
 * The reader holds the first error and goes quiet after it, so a line is read as straight code and the error
 * is looked at before a value is used as an index, a length or a pointer. */
#include "replay/replay.h"

#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/base/mem.h"
#include "replay/format.h"

typedef struct reader {
    const char *path; /* as messages show it */
    FILE *f;
    strbuf line;
    size_t line_no;
    bool whole;   /* the line ends with a newline */
    bool lenient; /* keep contradictions for verify */
    cJSON *root;
    replay *rp;
    arena *mem;   /* of the record or the texts being filled */
    bool *masked; /* [n_tokens] scratch */
    int rc;
    err *e;
} reader;

/* The first fault wins. `item` NULL: the line itself. */
static void fail_at(reader *r, const cJSON *item, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void fail_at(reader *r, const cJSON *item, const char *fmt, ...) {
    char why[240];
    va_list ap;
    if (r->rc) return;
    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    size_t column = item ? json_locate(r->root, item, r->line.data) + 1 : 1;
    r->rc = err_set(r->e, ERR_BAD_FORMAT, "%s:%zu:%zu: %s", r->path, r->line_no, column, why);
}

/* Lines that are well formed and contradict each other. That is an error, except for verify, which re-runs
 * the steps and names where they part from the model. */
static void contradict(reader *r, const cJSON *item, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void contradict(reader *r, const cJSON *item, const char *fmt, ...) {
    char what[120];
    va_list ap;
    if (r->rc) return;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    if (!r->lenient) {
        fail_at(r, item, "%s", what);
    } else if (!r->rp->contradiction[0]) {
        snprintf(r->rp->contradiction, sizeof r->rp->contradiction, "line %zu, column %zu: %s", r->line_no,
                 item ? json_locate(r->root, item, r->line.data) + 1 : 1, what);
    }
}

static void fail_memory(reader *r) {
    if (!r->rc) r->rc = err_set(r->e, ERR_NO_MEMORY, "%s:%zu: out of memory", r->path, r->line_no);
}

static void *take(reader *r, size_t n, size_t size) {
    void *p = r->rc ? NULL : arena_new(r->mem, n, size);
    if (!p) fail_memory(r);
    return p;
}

/* Fields ---------------------------------------------------------------- */

static const cJSON *find(const cJSON *obj, const char *key) {
    return cJSON_GetObjectItemCaseSensitive(obj, key);
}

static const cJSON *need(reader *r, const cJSON *obj, const char *key) {
    const cJSON *v = r->rc ? NULL : find(obj, key);
    if (!v) fail_at(r, obj, "no field \"%s\"", key);
    return v;
}

static int64_t as_int(reader *r, const cJSON *v, const char *what, int64_t low, int64_t high) {
    if (r->rc) return low;
    double x = v->valuedouble;
    if (!cJSON_IsNumber(v) || x != floor(x) || fabs(x) > 9007199254740992.0) {
        fail_at(r, v, "%s is not a whole number", what);
    } else if (x < (double)low || x > (double)high) {
        fail_at(r, v, "%s is %.0f, expected %lld to %lld", what, x, (long long)low, (long long)high);
    }
    return r->rc ? low : (int64_t)x;
}

static double as_real(reader *r, const cJSON *v, const char *what, double low, double high) {
    if (r->rc) return 0;
    double x = v->valuedouble;
    if (!cJSON_IsNumber(v)) {
        fail_at(r, v, "%s is not a number", what);
    } else if (!isfinite(x)) {
        fail_at(r, v, "%s is not finite", what);
    } else if (x < low || x > high) {
        fail_at(r, v, "%s is %g, expected %g to %g", what, x, low, high);
    }
    return r->rc ? 0 : x;
}

static int get_int(reader *r, const cJSON *obj, const char *key, int low, int high) {
    const cJSON *v = need(r, obj, key);
    return (int)as_int(r, v, key, low, high);
}

/* Rounding may push a probability a hair past its end. */
static const double P_LOW = -1e-6, P_HIGH = 1 + 1e-6, ANY = 1.7976931348623157e308;

static double get_real(reader *r, const cJSON *obj, const char *key, double low, double high) {
    const cJSON *v = need(r, obj, key);
    return as_real(r, v, key, low, high);
}

static bool get_bool(reader *r, const cJSON *obj, const char *key) {
    const cJSON *v = need(r, obj, key);
    if (v && !cJSON_IsBool(v)) fail_at(r, v, "%s is neither true nor false", key);
    return v && cJSON_IsTrue(v);
}

/* These texts reach terminals, so control characters are refused. */
static const char *get_text(reader *r, const cJSON *obj, const char *key, size_t size) {
    const cJSON *v = need(r, obj, key);
    if (!v) return "";
    const char *s = cJSON_GetStringValue(v);
    if (!s) {
        fail_at(r, v, "%s is not a string", key);
        return "";
    }
    if (strlen(s) >= size) fail_at(r, v, "%s is longer than %zu bytes", key, size - 1);
    for (const unsigned char *p = (const unsigned char *)s; *p; p++) {
        if (*p < 0x20 || *p == 0x7f || (*p == 0xc2 && p[1] < 0xa0)) {
            fail_at(r, v, "%s holds a control character", key);
        }
    }
    return r->rc ? "" : s;
}

static void copy_text(reader *r, const cJSON *obj, const char *key, char *buf, size_t size) {
    snprintf(buf, size, "%s", get_text(r, obj, key, size));
}

/* An array of n items (any number up to `max` with n < 0), or NULL. */
static const cJSON *as_array(reader *r, const cJSON *v, const char *what, int n, int max, int *got) {
    *got = 0;
    if (r->rc) return NULL;
    if (!cJSON_IsArray(v)) {
        fail_at(r, v, "%s is not an array", what);
        return NULL;
    }
    for (const cJSON *c = v->child; c; c = c->next) {
        if (++*got <= max && (n < 0 || *got <= n)) continue;
        if (n < 0) {
            fail_at(r, c, "%s has more than %d items", what, max);
        } else {
            fail_at(r, c, "%s has more than %d items, one for each position", what, n);
        }
        return NULL;
    }
    if (n >= 0 && *got != n) fail_at(r, v, "%s has %d items, expected %d", what, *got, n);
    return r->rc ? NULL : v;
}

static int *as_ints(reader *r, const cJSON *v, const char *what, int n, int max, int low, int high,
                    int *got) {
    v = as_array(r, v, what, n, max, got);
    int *out = take(r, (size_t)*got, sizeof *out), i = 0;
    for (const cJSON *c = r->rc ? NULL : v->child; c; c = c->next)
        out[i++] = (int)as_int(r, c, what, low, high);
    return r->rc ? NULL : out;
}

static const int *get_ids(reader *r, const cJSON *obj, const char *key, int n) {
    int got;
    const cJSON *v = need(r, obj, key);
    return as_ints(r, v, key, n, n, 0, r->rp->traj.head.n_vocab - 1, &got);
}

/* Strictly ascending positions of the sequence. */
static const int *get_positions(reader *r, const cJSON *obj, const char *key, int *got) {
    int n = r->rp->traj.head.n_tokens, last = -1;
    const cJSON *v = as_array(r, need(r, obj, key), key, -1, n, got);
    int *out = take(r, (size_t)*got, sizeof *out), i = 0;
    for (const cJSON *c = r->rc ? NULL : v->child; c && !r->rc; c = c->next) {
        int pos = (int)as_int(r, c, key, INT_MIN, INT_MAX);
        if (pos < 0) fail_at(r, c, "%s: position %d is negative", key, pos);
        if (pos >= n) fail_at(r, c, "%s: position %d is past the end (%d)", key, pos, n);
        if (pos <= last) fail_at(r, c, "%s: position %d after %d, expected ascending order", key, pos, last);
        last = out[i++] = pos;
    }
    return r->rc ? NULL : out;
}

static const double *get_reals(reader *r, const cJSON *obj, const char *key, int n, double low, double high) {
    int got, i = 0;
    const cJSON *v = as_array(r, need(r, obj, key), key, n, n, &got);
    double *out = take(r, (size_t)got, sizeof *out);
    for (const cJSON *c = r->rc ? NULL : v->child; c; c = c->next) out[i++] = as_real(r, c, key, low, high);
    return r->rc ? NULL : out;
}

/* The same when the field may be absent: NULL then. */
static const double *maybe_reals(reader *r, const cJSON *obj, const char *key, int n, double low,
                                 double high) {
    return !r->rc && find(obj, key) ? get_reals(r, obj, key, n, low, high) : NULL;
}

/* Refuses a known field given twice and keeps the unknown ones; *out stays NULL when there are none. */
static void keep_unknown(reader *r, const cJSON *obj, const char *const *known, const char **out) {
    strbuf extra;
    if (r->rc) return;
    strbuf_init(&extra, MAX_LINE);
    const cJSON *twice =
        json_unknown(obj, r->line.data + json_locate(r->root, obj, r->line.data), known, &extra);
    if (twice) fail_at(r, twice, "field \"%s\" occurs twice", twice->string);
    if (extra.failed) fail_memory(r);
    if (!r->rc && extra.len) {
        char *copy = take(r, extra.len + 1, 1);
        if (copy) memcpy(copy, extra.data, extra.len + 1);
        *out = copy;
    }
    strbuf_release(&extra);
}

/* Token texts ------------------------------------------------------------- */

static int hex_digit(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void read_text(reader *r, const cJSON *v, token_text *out) {
    const cJSON *text = cJSON_IsObject(v) ? find(v, "text") : v, *hex = find(v, "hex"),
                *special = find(v, "special");
    const cJSON *source = hex ? hex : text;
    const char *s = source ? cJSON_GetStringValue(source) : NULL;
    if (!s || (hex && text)) {
        fail_at(r, v, "a token's text is neither a string nor {\"text\"} or {\"hex\"}");
        return;
    }
    if (special && !cJSON_IsBool(special)) fail_at(r, special, "special is neither true nor false");
    size_t n = strlen(s);
    if (n > (hex ? 2u : 1u) * MAX_TOKEN_TEXT)
        fail_at(r, source, "a token's text is longer than %d bytes", MAX_TOKEN_TEXT);
    if (hex && n % 2) fail_at(r, source, "hex has an odd number of digits");
    char *copy = take(r, n + 1, 1);
    if (!copy) return;
    memcpy(copy, s, n);
    for (size_t i = 0; hex && i + 1 < n && !r->rc; i += 2) {
        int high = hex_digit(s[i]), low = hex_digit(s[i + 1]);
        if (high < 0 || low < 0) fail_at(r, source, "hex holds something else than 0-9 and a-f");
        copy[i / 2] = (char)(high * 16 + low);
    }
    *out = (token_text){.bytes = copy, .n = hex ? n / 2 : n, .special = special && cJSON_IsTrue(special)};
}

static void read_texts(reader *r, const cJSON *obj) {
    struct replay_texts *t = r->rp->texts;
    arena *before = r->mem;
    if (r->rc || !obj) return;
    if (!cJSON_IsObject(obj)) fail_at(r, obj, "texts is not an object");
    r->mem = &t->mem;
    for (const cJSON *c = r->rc ? NULL : obj->child; c && !r->rc; c = c->next) {
        char *end, canonical[24];
        long id = strtol(c->string, &end, 10);
        snprintf(canonical, sizeof canonical, "%ld", id);
        if (strcmp(canonical, c->string) != 0) {
            fail_at(r, c, "texts: the key is not a token id");
        } else if (id < 0 || id >= t->n_vocab) {
            fail_at(r, c, "texts: token %ld, expected 0 to %d", id, t->n_vocab - 1);
        }
        token_text new = {0}, *old = r->rc ? &new : &t->of[id];
        if (!r->rc) read_text(r, c, &new);
        if (!r->rc && old->bytes &&
            (old->n != new.n || memcmp(old->bytes, new.bytes, new.n) != 0 || old->special != new.special)) {
            fail_at(r, c, "texts: token %ld had another text before", id);
        }
        if (!r->rc) *old = new;
    }
    r->mem = before;
}

/* Header ------------------------------------------------------------------ */

static const param_def *const no_params[] = {NULL};

static void read_param(reader *r, const cJSON *v, param_set *ps) {
    char text[64];
    err why = {0};
    if (cJSON_IsNumber(v) && isfinite(v->valuedouble)) {
        snprintf(text, sizeof text, "%.17g", v->valuedouble);
    } else if (cJSON_IsBool(v)) {
        snprintf(text, sizeof text, "%s", cJSON_IsTrue(v) ? "on" : "off");
    } else if (cJSON_IsString(v) && strlen(v->valuestring) < sizeof text) {
        snprintf(text, sizeof text, "%s", v->valuestring);
    } else {
        fail_at(r, v, "parameter %s is neither a number, a truth value nor a short string", v->string);
        return;
    }
    if (param_parse(ps, v->string, text, &why)) fail_at(r, v, "%s", why.msg);
}

static void read_params(reader *r, const cJSON *root, traj_header *h) {
    const cJSON *obj = need(r, root, "params"), *given = r->rc ? NULL : find(root, "given");
    const policy *p = policy_find(h->policy);
    const model_tuning untuned = {0};
    const char *known[PARAM_MAX + 1] = {NULL};
    char names[PARAM_MAX][64];
    if (obj && !cJSON_IsObject(obj)) fail_at(r, obj, "params is not an object");
    param_init(&h->params, no_params);
    if (r->rc) return;
    if (p) policy_defaults(p, &untuned, &h->params);
    for (int i = 0; i < h->params.n; i++) {
        snprintf(names[i], sizeof names[i], "%s", h->params.defs[i]->name);
        for (char *c = names[i]; *c; c++) *c = *c == '-' ? '_' : *c;
        known[i] = names[i];
    }
    keep_unknown(r, obj, known, &r->rp->texts->params_extra);
    for (const cJSON *c = obj->child; c && !r->rc; c = c->next) {
        if (!strchr(c->string, '-') && param_find(&h->params, c->string) >= 0) read_param(r, c, &h->params);
    }
    memset(h->params.given, 0, sizeof h->params.given);
    if (given && !cJSON_IsArray(given)) fail_at(r, given, "given is not an array");
    for (const cJSON *c = given && !r->rc ? given->child : NULL; c; c = c->next) {
        int i = cJSON_IsString(c) ? param_find(&h->params, c->valuestring) : -1;
        if (!cJSON_IsString(c)) fail_at(r, c, "given: expected the name of a parameter");
        if (i >= 0) h->params.given[i] = true;
    }
}

static uint64_t read_seed(reader *r, const cJSON *root) {
    const cJSON *v = need(r, root, "seed");
    if (v && cJSON_IsNumber(v)) return (uint64_t)as_int(r, v, "seed", 0, INT64_C(9007199254740992));
    const char *s = v ? cJSON_GetStringValue(v) : NULL;
    if (!v) return 0;
    errno = 0;
    bool digits = s && *s && strspn(s, "0123456789") == strlen(s);
    unsigned long long seed = digits ? strtoull(s, NULL, 10) : 0;
    if (!digits || errno) fail_at(r, v, "seed is not a string of digits below 2^64");
    return seed;
}

static void check_schema(reader *r) {
    const char *schema = get_text(r, r->root, "schema", 64);
    if (!r->rc && strcmp(schema, SCHEMA_NAME) != 0) {
        fail_at(r, find(r->root, "schema"), "schema \"%.40s\", expected \"%s\"", schema, SCHEMA_NAME);
    }
    const char *version = get_text(r, r->root, "version", 16);
    const cJSON *v = r->rc ? NULL : find(r->root, "version");
    size_t major = strspn(version, "0123456789"), minor = 0;
    if (version[major] == '.') minor = strspn(version + major + 1, "0123456789");
    if (r->rc) return;
    if (!major || !minor || version[major + 1 + minor]) {
        fail_at(r, v, "version \"%s\", expected \"major.minor\"", version);
    } else if (strtol(version, NULL, 10) != SCHEMA_MAJOR) {
        fail_at(r, v, "schema %s, this program reads %d.x", version, SCHEMA_MAJOR);
    }
}

static void read_model(reader *r, traj_header *h) {
    static const char *const known[] = {"name",    "arch",   "fingerprint", "dtype", "n_vocab",
                                        "mask_id", "eos_id", "shifted",     NULL};
    const cJSON *m = need(r, r->root, "model");
    if (m && !cJSON_IsObject(m)) fail_at(r, m, "model is not an object");
    copy_text(r, m, "name", h->model_name, sizeof h->model_name);
    copy_text(r, m, "arch", h->model_arch, sizeof h->model_arch);
    copy_text(r, m, "fingerprint", h->fingerprint, sizeof h->fingerprint);
    copy_text(r, m, "dtype", h->dtype, sizeof h->dtype);
    h->n_vocab = get_int(r, m, "n_vocab", 2, MAX_VOCAB);
    h->mask_id = get_int(r, m, "mask_id", 0, h->n_vocab - 1);
    h->eos_id = !r->rc && find(m, "eos_id") ? get_int(r, m, "eos_id", 0, h->n_vocab - 1) : -1;
    h->shifted = get_bool(r, m, "shifted");
    keep_unknown(r, m, known, &r->rp->texts->model_extra);
}

static void read_header(reader *r) {
    static const char *const known[] = {"type",     "schema", "version", "created", "model",     "policy",
                                        "params",   "given",  "seed",    "device",  "precision", "threads",
                                        "n_prompt", "start",  "texts",   NULL};
    traj_header h = {0};
    struct replay_texts *t = r->rp->texts = mem_new(1, sizeof *t);
    if (!t) {
        fail_memory(r);
        return;
    }
    r->mem = &t->mem;
    check_schema(r);
    t->version = arena_strdup(&t->mem, r->rc ? "" : get_text(r, r->root, "version", 16));
    copy_text(r, r->root, "created", h.created, sizeof h.created);
    read_model(r, &h);
    copy_text(r, r->root, "policy", h.policy, sizeof h.policy);
    read_params(r, r->root, &h);
    h.seed = read_seed(r, r->root);
    copy_text(r, r->root, "device", h.device, sizeof h.device);
    copy_text(r, r->root, "precision", h.precision, sizeof h.precision);
    h.threads = get_int(r, r->root, "threads", 0, 1 << 20);
    const cJSON *start = need(r, r->root, "start");
    h.start = as_ints(r, start, "start", -1, MAX_TOKENS, 0, h.n_vocab - 1, &h.n_tokens);
    if (!r->rc && !h.n_tokens) fail_at(r, start, "start has no tokens");
    h.n_prompt = get_int(r, r->root, "n_prompt", 0, h.n_tokens);
    keep_unknown(r, r->root, known, &t->header_extra);
    if (r->rc) return;
    t->n_vocab = h.n_vocab;
    t->of = mem_new((size_t)h.n_vocab, sizeof *t->of);
    r->masked = mem_new((size_t)h.n_tokens, sizeof *r->masked);
    if (!t->of || !r->masked || !t->version) fail_memory(r);
    read_texts(r, find(r->root, "texts"));
    if (!r->rc) r->rc = trajectory_init(&r->rp->traj, &h, (token_texts){.text = replay_text, .ctx = t}, r->e);
}

/* Steps ------------------------------------------------------------------- */

/* The list must name exactly the masks of the state. */
static void read_masked(reader *r, const cJSON *root, step_record *s) {
    const trajectory *t = &r->rp->traj;
    s->masked = get_positions(r, root, "masked", &s->n_masked);
    if (r->rc) return;
    const cJSON *list = find(root, "masked"), *item = list->child;
    int i = 0;
    for (int pos = 0; pos < t->head.n_tokens; pos++) {
        bool is_mask = t->last[pos] == t->head.mask_id, listed = i < s->n_masked && s->masked[i] == pos;
        if (is_mask && !listed)
            contradict(r, item ? item : list, "masked: position %d is masked and not listed", pos);
        if (listed && !is_mask) contradict(r, item, "masked: position %d is not masked", pos);
        if (r->rc) return;
        if (listed) {
            i++;
            item = item->next;
        }
    }
}

static void read_top(reader *r, const cJSON *root, step_record *s) {
    int k = get_int(r, root, "top_k", 1, RECORD_TOP_K), n = s->n_masked, rows;
    const cJSON *ids = as_array(r, need(r, root, "top_ids"), "top_ids", n, n, &rows);
    const cJSON *ps = as_array(r, need(r, root, "top_p"), "top_p", n, n, &rows);
    token_prob *top = take(r, (size_t)n * (size_t)k, sizeof *top);
    if (r->rc) return;
    const cJSON *a = ids->child, *b = ps->child;
    for (int i = 0; i < n && !r->rc; i++, a = a->next, b = b->next) {
        token_prob *row = top + (size_t)i * (size_t)k;
        int n_ids, n_ps;
        a = as_array(r, a, "top_ids", -1, k, &n_ids);
        b = as_array(r, b, "top_p", -1, k, &n_ps);
        if (!r->rc && n_ids != n_ps) fail_at(r, b, "top_p has %d items where top_ids has %d", n_ps, n_ids);
        if (r->rc) return;
        const cJSON *id = a->child, *p = b->child;
        for (int j = 0; j < k; j++) {
            row[j] = (token_prob){.id = -1};
            if (j >= n_ids) continue;
            row[j].id = (int32_t)as_int(r, id, "top_ids", 0, r->rp->traj.head.n_vocab - 1);
            row[j].p = as_real(r, p, "top_p", P_LOW, P_HIGH);
            id = id->next;
            p = p->next;
        }
    }
    s->top = top;
    s->top_k = k;
}

static void read_known(reader *r, const cJSON *root, step_record *s) {
    bool decode = s->kind == STEP_DECODE;
    double most = log((double)r->rp->traj.head.n_vocab) + 1e-3;
    if (decode || find(root, "masked")) read_masked(r, root, s);
    int n = s->n_masked;
    if (decode || find(root, "entropy")) {
        s->entropy = get_reals(r, root, "entropy", n, -1e-3, most);
        s->confidence = get_reals(r, root, "confidence", n, P_LOW, P_HIGH);
        s->margin = get_reals(r, root, "margin", n, P_LOW, P_HIGH);
        s->argmax = get_ids(r, root, "argmax", n);
    }
    if (!r->rc && find(root, "top_k")) read_top(r, root, s);
    s->total_entropy = get_real(r, root, "total_entropy", -ANY, ANY);
}

/* Candidates and observed positions are some of the masked ones. */
static void check_subset(reader *r, const cJSON *obj, const char *key, const step_record *s,
                         const int *list) {
    const cJSON *c = r->rc ? NULL : find(obj, key)->child;
    for (int i = 0; c; c = c->next, i++) {
        if (record_masked_index(s, list[i]) < 0)
            contradict(r, c, "%s: position %d is not masked", key, list[i]);
    }
}

static const char *maybe_name(reader *r, const cJSON *obj, const char *key) {
    if (r->rc || !find(obj, key)) return NULL;
    char *copy = arena_strdup(r->mem, get_text(r, obj, key, 64));
    if (!copy) fail_memory(r);
    return copy;
}

static void read_scored(reader *r, const cJSON *root, step_record *s) {
    const cJSON *seen = r->rc ? NULL : find(root, "observed");
    if (!r->rc && find(root, "candidates")) {
        s->cand = get_positions(r, root, "candidates", &s->n_cand);
        check_subset(r, root, "candidates", s, s->cand);
        int n = s->n_cand;
        s->score = maybe_reals(r, root, "score", n, -ANY, ANY);
        s->tis = maybe_reals(r, root, "tis", n, -ANY, ANY);
        s->gate = maybe_reals(r, root, "gate", n, P_LOW, P_HIGH);
        s->penalty = maybe_reals(r, root, "penalty", n, -ANY, ANY);
        s->delta_e_norm = maybe_reals(r, root, "delta_e_norm", n, 0, ANY);
        s->tis_name = maybe_name(r, root, "tis_name");
        s->h_t = get_real(r, root, "h_t", -ANY, ANY);
        s->lambda_t = get_real(r, root, "lambda_t", -ANY, ANY);
    }
    if (seen && !cJSON_IsObject(seen)) fail_at(r, seen, "observed is not an object");
    if (seen && !r->rc) {
        s->observed = get_positions(r, seen, "positions", &s->n_observed);
        check_subset(r, seen, "positions", s, s->observed);
        s->observed_tis = get_reals(r, seen, "tis", s->n_observed, -ANY, ANY);
        s->observed_name = maybe_name(r, seen, "name");
    }
}

static void check_write(reader *r, const cJSON *item, step_kind kind, const step_write *w) {
    const traj_header *h = &r->rp->traj.head;
    const cJSON *pos = find(item, "pos"), *token = find(item, "token");
    if (w->pos < 0) fail_at(r, pos, "writes: position %d is negative", w->pos);
    if (w->pos >= h->n_tokens)
        fail_at(r, pos, "writes: position %d is past the end (%d)", w->pos, h->n_tokens);
    if (r->rc) return;
    bool is_mask = r->rp->traj.last[w->pos] == h->mask_id;
    if (r->masked[w->pos]) contradict(r, pos, "writes: position %d is written twice", w->pos);
    if (kind == STEP_DECODE && !is_mask) contradict(r, pos, "writes: position %d is not masked", w->pos);
    if (kind == STEP_REMASK && is_mask) contradict(r, pos, "writes: position %d is masked already", w->pos);
    if (kind == STEP_REMASK && w->token != h->mask_id) {
        fail_at(r, token, "writes: a remask writes token %d, expected the mask %d", w->token, h->mask_id);
    }
    if (kind != STEP_REMASK && w->token == h->mask_id)
        fail_at(r, token, "writes: token %d is the mask", w->token);
    r->masked[w->pos] = true;
}

static void read_writes(reader *r, const cJSON *root, step_record *s) {
    const cJSON *list =
        as_array(r, need(r, root, "writes"), "writes", -1, r->rp->traj.head.n_tokens, &s->n_writes);
    step_write *w = take(r, (size_t)s->n_writes, sizeof *w);
    if (r->rc) return;
    memset(r->masked, 0, (size_t)r->rp->traj.head.n_tokens * sizeof *r->masked);
    s->writes = w;
    for (const cJSON *c = list->child; c && !r->rc; c = c->next, w++) {
        if (!cJSON_IsObject(c)) fail_at(r, c, "writes: expected an object");
        w->pos = get_int(r, c, "pos", INT_MIN, INT_MAX);
        w->token = get_int(r, c, "token", 0, r->rp->traj.head.n_vocab - 1);
        w->p = get_real(r, c, "p", P_LOW, P_HIGH);
        w->score = get_real(r, c, "score", -ANY, ANY);
        if (!r->rc) check_write(r, c, s->kind, w);
    }
}

static step_kind read_kind(reader *r, const cJSON *root) {
    const char *name = get_text(r, root, "kind", 32);
    for (int k = 0; k < N_STEP_KINDS; k++) {
        if (strcmp(name, step_kind_name((step_kind)k)) == 0) return (step_kind)k;
    }
    if (!r->rc) fail_at(r, find(root, "kind"), "kind \"%s\", expected decode, force or remask", name);
    return STEP_DECODE;
}

static void read_step(reader *r) {
    static const char *const known[] = {
        "type",       "step",     "kind",     "t",      "T",       "masked",        "entropy",
        "confidence", "margin",   "argmax",   "top_k",  "top_ids", "top_p",         "total_entropy",
        "candidates", "score",    "tis",      "gate",   "penalty", "delta_e_norm",  "tis_name",
        "h_t",        "lambda_t", "observed", "writes", "nfe",     "backward_rows", "ms",
        "observe_ms", "texts",    NULL};
    trajectory *t = &r->rp->traj;
    const cJSON *root = r->root;
    step_record *s = record_new();
    if (!s) {
        fail_memory(r);
        return;
    }
    r->mem = &s->mem;
    if (t->n_records >= MAX_STEPS) fail_at(r, NULL, "more than %d steps", MAX_STEPS);
    keep_unknown(r, root, known, &s->extra_json);
    s->step = get_int(r, root, "step", INT_MIN, INT_MAX);
    if (!r->rc && s->step != t->n_records) {
        fail_at(r, find(root, "step"), "step %d, expected %d", s->step, t->n_records);
    }
    s->kind = read_kind(r, root);
    s->T = get_int(r, root, "T", 1, INT_MAX);
    s->t = get_int(r, root, "t", 1, s->T);
    if (!r->rc) read_known(r, root, s);
    read_scored(r, root, s);
    read_writes(r, root, s);
    s->nfe = get_real(r, root, "nfe", 0, ANY);
    s->backward_rows =
        r->rc ? 0 : as_int(r, need(r, root, "backward_rows"), "backward_rows", 0, INT64_C(9007199254740992));
    s->ms = get_real(r, root, "ms", 0, ANY);
    s->observe_ms = get_real(r, root, "observe_ms", 0, ANY);
    if (!r->rc) read_texts(r, find(root, "texts"));
    if (!r->rc) {
        err why = {0};
        int rc = trajectory_append(t, s, &why);
        if (rc == ERR_NO_MEMORY) fail_memory(r);
        if (rc) fail_at(r, NULL, "%s", why.msg);
    }
    record_unref(s);
}

/* Closing line ------------------------------------------------------------ */

static bool near(double a, double b) {
    return fabs(a - b) <= 1e-9 * (fabs(a) + fabs(b)) + 1e-12;
}

static void read_closing(reader *r) {
    static const char *const known[] = {"type", "complete",      "steps", "result", "written",
                                        "nfe",  "backward_rows", "ms",    NULL};
    trajectory *t = &r->rp->traj;
    const cJSON *root = r->root;
    traj_totals sum = trajectory_totals(t, t->n_records);
    arena scratch = {0};
    r->mem = &r->rp->texts->mem;
    keep_unknown(r, root, known, &r->rp->texts->closing_extra);
    r->mem = &scratch;
    bool complete = get_bool(r, root, "complete");
    int steps = get_int(r, root, "steps", 0, MAX_STEPS);
    if (!r->rc && steps != t->n_records)
        contradict(r, find(root, "steps"), "%d steps, the file has %d", steps, t->n_records);
    const int *result = get_ids(r, root, "result", t->head.n_tokens);
    const cJSON *item = r->rc ? NULL : find(root, "result")->child;
    for (int i = 0; item; item = item->next, i++) {
        if (result[i] != t->last[i]) {
            contradict(r, item, "result: token %d at position %d, the steps lead to %d", result[i], i,
                       t->last[i]);
        }
    }
    int written = get_int(r, root, "written", 0, INT_MAX);
    double nfe = get_real(r, root, "nfe", 0, ANY), ms = get_real(r, root, "ms", 0, ANY);
    double rows = get_real(r, root, "backward_rows", 0, ANY);
    if (!r->rc && written != sum.n_written) {
        contradict(r, find(root, "written"), "written is %d, the steps have %d", written, sum.n_written);
    }
    if (!r->rc && !near(nfe, sum.nfe))
        contradict(r, find(root, "nfe"), "nfe is %g, the steps have %g", nfe, sum.nfe);
    if (!r->rc && !near(rows, (double)sum.backward_rows)) {
        contradict(r, find(root, "backward_rows"), "backward_rows is %.0f, the steps have %lld", rows,
                   (long long)sum.backward_rows);
    }
    if (!r->rc && !near(ms, sum.ms))
        contradict(r, find(root, "ms"), "ms is %g, the steps have %g", ms, sum.ms);
    if (!r->rc && complete != t->complete) {
        contradict(r, find(root, "complete"), "complete is %s, the steps leave %s",
                   complete ? "true" : "false", t->complete ? "no masks" : "masks");
    }
    arena_release(&scratch);
}

/* Lines ------------------------------------------------------------------- */

/* Reads up to and without the newline; false at the end of the file. */
static bool next_line(reader *r) {
    strbuf_clear(&r->line);
    int c = EOF;
    char chunk[4096];
    size_t n = 0;
    flockfile(r->f);
    while ((c = getc_unlocked(r->f)) != EOF && c != '\n') {
        chunk[n++] = (char)c;
        if (n == sizeof chunk) {
            strbuf_add(&r->line, chunk, n);
            n = 0;
            if (r->line.failed) break;
        }
    }
    funlockfile(r->f);
    strbuf_add(&r->line, chunk, n);
    r->line_no++;
    r->whole = c == '\n';
    if (r->line.failed) fail_at(r, NULL, "a line of more than %d bytes", MAX_LINE);
    if (!r->rc && ferror(r->f)) r->rc = err_set(r->e, ERR_IO, "%s: %s", r->path, strerror(errno));
    return !r->rc && (c == '\n' || r->line.len > 0);
}

static void cut(reader *r, const char *how) {
    int n = r->rp->traj.n_records;
    r->rp->truncated = true;
    snprintf(r->rp->note, sizeof r->rp->note, "truncated: %s; %d step%s kept", how, n,
             n == 1 ? " is" : "s are");
}

/* The first line. Cut inside it there is nothing to keep. */
static void first_line(reader *r) {
    size_t column = 1;
    const char *why = NULL;
    if (!next_line(r)) {
        if (!r->rc)
            r->rc =
                err_set(r->e, ERR_BAD_FORMAT, "%s:1:1: an empty file, truncated before its header", r->path);
        return;
    }
    bool looks_right = r->line.data[0] == '{';
    r->root = json_parse_line(r->line.data, r->line.len, &column, &why);
    if (!r->whole && looks_right) {
        r->rc = err_set(r->e, ERR_BAD_FORMAT, "%s:1:%zu: truncated inside the header; nothing can be kept",
                        r->path, r->line.len + 1);
    } else if (!r->root) {
        r->rc = err_set(r->e, ERR_BAD_FORMAT, "%s:1:%zu: %s; not a trajectory file", r->path, column, why);
    } else if (strcmp(get_text(r, r->root, "type", 32), "header") != 0) {
        fail_at(r, find(r->root, "type"), "the first line is not a header");
    } else {
        read_header(r);
    }
}

/* Any other line; true to go on. */
static bool later_line(reader *r, bool *closed) {
    char how[80];
    size_t column = 1;
    const char *why = NULL;
    if (!next_line(r)) return false;
    if (!r->whole) {
        snprintf(how, sizeof how, "line %zu is cut", r->line_no);
        cut(r, how);
        return false;
    }
    r->root = json_parse_line(r->line.data, r->line.len, &column, &why);
    if (!r->root) {
        r->rc = err_set(r->e, ERR_BAD_FORMAT, "%s:%zu:%zu: %s", r->path, r->line_no, column, why);
        return false;
    }
    const char *type = get_text(r, r->root, "type", 32);
    if (r->rc) return false;
    if (*closed) {
        fail_at(r, NULL, "a line after the closing line");
    } else if (!strcmp(type, "step")) {
        read_step(r);
    } else if (!strcmp(type, "closing")) {
        read_closing(r);
        *closed = true;
    } else {
        fail_at(r, find(r->root, "type"), "type \"%s\", expected step or closing", type);
    }
    return !r->rc;
}

static void read_all(reader *r) {
    bool closed = false;
    first_line(r);
    do {
        cJSON_Delete(r->root);
        r->root = NULL;
    } while (!r->rc && later_line(r, &closed));
    cJSON_Delete(r->root);
    r->root = NULL;
    if (!r->rc && !closed && !r->rp->truncated) cut(r, "no closing line");
}

static int load(replay **out, const char *path, bool lenient, err *e) {
    *out = NULL;
    bool std = strcmp(path, "-") == 0;
    size_t n = strlen(path);
    struct stat st;
    reader r = {.path = std ? "<stdin>" : n > 160 ? path + n - 160 : path, .e = e, .lenient = lenient};
    strbuf_init(&r.line, MAX_LINE);
    r.rp = mem_new(1, sizeof *r.rp);
    if (!r.rp) return err_set(e, ERR_NO_MEMORY, "%s: out of memory", r.path);
    snprintf(r.rp->path, sizeof r.rp->path, "%s", path);
    r.f = std ? stdin : fopen(path, "rb");
    if (!r.f) {
        r.rc = err_set(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %s", r.path, strerror(errno));
    } else if (fstat(fileno(r.f), &st) == 0 && S_ISDIR(st.st_mode)) {
        r.rc = err_set(e, ERR_IO, "%s: is a directory, expected a trajectory file", r.path);
    } else {
        /* Numbers have a point, whatever the user's locale says; cJSON and strtod follow this thread's
         * locale. */
        locale_t plain = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
        locale_t before = plain ? uselocale(plain) : (locale_t)0;
        read_all(&r);
        if (plain) {
            uselocale(before);
            freelocale(plain);
        }
    }
    if (r.f && !std) fclose(r.f);
    strbuf_release(&r.line);
    free(r.masked);
    if (r.rc) {
        replay_close(r.rp);
        return r.rc;
    }
    *out = r.rp;
    return 0;
}

int replay_load(replay **out, const char *path, err *e) {
    return load(out, path, false, e);
}

int replay_load_to_verify(replay **out, const char *path, err *e) {
    return load(out, path, true, e);
}

void replay_close(replay *r) {
    if (!r) return;
    trajectory_release(&r->traj);
    if (r->texts) {
        free(r->texts->of);
        arena_release(&r->texts->mem);
    }
    free(r->texts);
    free(r);
}
