/* read_header.c - the header line and the token texts: who made the recording, from what start. */
#include "replay/read_impl.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"

static int hex_digit(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void read_text(reader *r, const json_value *v, token_text *out) {
    const json_value *text = json_is(v, JSON_OBJECT) ? json_find(v, "text") : v, *hex = json_find(v, "hex"),
                     *special = json_find(v, "special");
    const json_value *source = hex ? hex : text;
    const char *s = source ? source->text : NULL;
    if (!s || (hex && text)) {
        reader_fail_at(r, v, "a token's text is neither a string nor {\"text\"} or {\"hex\"}");
        return;
    }
    if (special && !json_is(special, JSON_BOOL))
        reader_fail_at(r, special, "special is neither true nor false");
    size_t n = strlen(s);
    if (n > (hex ? (size_t)2 : 1) * MAX_TOKEN_TEXT)
        reader_fail_at(r, source, "a token's text is longer than %d bytes", MAX_TOKEN_TEXT);
    if (hex && n % 2) reader_fail_at(r, source, "hex has an odd number of digits");
    char *copy = reader_take(r, n + 1, 1);
    if (!copy) return;
    memcpy(copy, s, n); /* NOLINT(bugprone-not-null-terminated-result): n + 1 zeroed bytes */
    for (size_t i = 0; hex && i + 1 < n && !r->rc; i += 2) {
        int high = hex_digit(s[i]), low = hex_digit(s[i + 1]);
        if (high < 0 || low < 0) reader_fail_at(r, source, "hex holds something else than 0-9 and a-f");
        copy[i / 2] = (char)(high * 16 + low);
    }
    *out = (token_text){.bytes = copy, .n = hex ? n / 2 : n, .special = special && special->number != 0};
}

void read_texts(reader *r, const json_value *obj) {
    struct replay_texts *t = r->rp->texts;
    arena *before = r->mem;
    if (r->rc || !obj) return;
    if (!json_is(obj, JSON_OBJECT)) reader_fail_at(r, obj, "texts is not an object");
    r->mem = &t->mem;
    for (const json_value *c = r->rc ? NULL : obj->child; c && !r->rc; c = c->next) {
        char *end, canonical[24];
        long id = strtol(c->name, &end, 10);
        snprintf(canonical, sizeof canonical, "%ld", id);
        if (strcmp(canonical, c->name) != 0) {
            reader_fail_at(r, c, "texts: the key is not a token id");
        } else if (id < 0 || id >= t->n_vocab) {
            reader_fail_at(r, c, "texts: token %ld, expected 0 to %d", id, t->n_vocab - 1);
        }
        token_text new = {0}, *old = r->rc ? &new : &t->of[id];
        if (!r->rc) read_text(r, c, &new);
        if (!r->rc && new.bytes && old->bytes &&
            (old->n != new.n || memcmp(old->bytes, new.bytes, new.n) != 0 || old->special != new.special)) {
            reader_fail_at(r, c, "texts: token %ld had another text before", id);
        }
        if (!r->rc) *old = new;
    }
    r->mem = before;
}

static const param_def *const no_params[] = {NULL};

static void read_param(reader *r, const json_value *v, param_set *ps) {
    char text[64];
    err why = {0};
    if (json_is(v, JSON_NUMBER) && isfinite(v->number)) {
        snprintf(text, sizeof text, "%.17g", v->number);
    } else if (json_is(v, JSON_BOOL)) {
        snprintf(text, sizeof text, "%s", v->number != 0 ? "on" : "off");
    } else if (json_is(v, JSON_STRING) && strlen(v->text) < sizeof text) {
        snprintf(text, sizeof text, "%s", v->text);
    } else {
        reader_fail_at(r, v, "parameter %s is neither a number, a truth value nor a short string", v->name);
        return;
    }
    if (param_parse(ps, v->name, text, &why)) reader_fail_at(r, v, "%s", why.msg);
}

void read_params(reader *r, const json_value *root, const char *policy_name, param_set *out,
                 const char **extra) {
    const json_value *obj = reader_need(r, root, "params"), *given = r->rc ? NULL : json_find(root, "given");
    const policy *p = policy_find(policy_name);
    const model_tuning untuned = {0};
    const char *known[PARAM_MAX + 1] = {NULL};
    char names[PARAM_MAX][64];
    if (obj && !json_is(obj, JSON_OBJECT)) reader_fail_at(r, obj, "params is not an object");
    param_init(out, no_params);
    if (r->rc || !obj) return;
    if (p) policy_defaults(p, &untuned, out);
    for (int i = 0; i < out->n; i++) {
        snprintf(names[i], sizeof names[i], "%s", out->defs[i]->name);
        for (char *c = names[i]; *c; c++) *c = *c == '-' ? '_' : *c;
        known[i] = names[i];
    }
    reader_keep_unknown(r, obj, known, extra);
    for (const json_value *c = obj->child; c && !r->rc; c = c->next) {
        if (!strchr(c->name, '-') && param_find(out, c->name) >= 0) read_param(r, c, out);
    }
    memset(out->given, 0, sizeof out->given);
    if (given && !json_is(given, JSON_ARRAY)) reader_fail_at(r, given, "given is not an array");
    for (const json_value *c = given && !r->rc ? given->child : NULL; c; c = c->next) {
        int i = json_is(c, JSON_STRING) ? param_find(out, c->text) : -1;
        if (!json_is(c, JSON_STRING)) reader_fail_at(r, c, "given: expected the name of a parameter");
        if (i >= 0) out->given[i] = true;
    }
}

static uint64_t read_seed(reader *r, const json_value *root) {
    const json_value *v = reader_need(r, root, "seed");
    if (v && json_is(v, JSON_NUMBER))
        return (uint64_t)reader_as_int(r, v, "seed", 0, INT64_C(9007199254740992));
    const char *s = v ? v->text : NULL;
    if (!v) return 0;
    errno = 0;
    bool digits = s && *s && strspn(s, "0123456789") == strlen(s);
    unsigned long long seed = digits ? strtoull(s, NULL, 10) : 0;
    if (!digits || errno) reader_fail_at(r, v, "seed is not a string of digits below 2^64");
    return seed;
}

static void check_schema(reader *r) {
    const char *schema = reader_get_text(r, r->root, "schema", 64);
    if (!r->rc && strcmp(schema, SCHEMA_NAME) != 0) {
        reader_fail_at(r, json_find(r->root, "schema"), "schema \"%.40s\", expected \"%s\"", schema,
                       SCHEMA_NAME);
    }
    const char *version = reader_get_text(r, r->root, "version", 16);
    const json_value *v = r->rc ? NULL : json_find(r->root, "version");
    size_t major = strspn(version, "0123456789"), minor = 0;
    if (version[major] == '.') minor = strspn(version + major + 1, "0123456789");
    if (r->rc) return;
    if (!major || !minor || version[major + 1 + minor]) {
        reader_fail_at(r, v, "version \"%s\", expected \"major.minor\"", version);
    } else if (strtol(version, NULL, 10) != SCHEMA_MAJOR) {
        reader_fail_at(r, v, "schema %s, this program reads %d.x", version, SCHEMA_MAJOR);
    }
}

static void read_model(reader *r, traj_header *h) {
    static const char *const known[] = {"name",    "arch",   "fingerprint", "dtype", "n_vocab",
                                        "mask_id", "eos_id", "shifted",     NULL};
    const json_value *m = reader_need(r, r->root, "model");
    if (m && !json_is(m, JSON_OBJECT)) reader_fail_at(r, m, "model is not an object");
    reader_copy_text(r, m, "name", h->model_name, sizeof h->model_name);
    reader_copy_text(r, m, "arch", h->model_arch, sizeof h->model_arch);
    reader_copy_text(r, m, "fingerprint", h->fingerprint, sizeof h->fingerprint);
    reader_copy_text(r, m, "dtype", h->dtype, sizeof h->dtype);
    h->n_vocab = reader_get_int(r, m, "n_vocab", 2, MAX_VOCAB);
    h->mask_id = reader_get_int(r, m, "mask_id", 0, h->n_vocab - 1);
    h->eos_id = !r->rc && json_find(m, "eos_id") ? reader_get_int(r, m, "eos_id", 0, h->n_vocab - 1) : -1;
    h->shifted = reader_get_bool(r, m, "shifted");
    reader_keep_unknown(r, m, known, &r->rp->texts->model_extra);
}

void read_header(reader *r) {
    static const char *const known[] = {"type",     "schema", "version", "created", "model",     "policy",
                                        "params",   "given",  "seed",    "device",  "precision", "threads",
                                        "n_prompt", "start",  "texts",   NULL};
    traj_header h = {0};
    struct replay_texts *t = r->rp->texts = mem_new(1, sizeof *t);
    if (!t) {
        reader_fail_memory(r);
        return;
    }
    r->mem = &t->mem;
    check_schema(r);
    t->version = arena_strdup(&t->mem, r->rc ? "" : reader_get_text(r, r->root, "version", 16));
    reader_copy_text(r, r->root, "created", h.created, sizeof h.created);
    read_model(r, &h);
    reader_copy_text(r, r->root, "policy", h.policy, sizeof h.policy);
    read_params(r, r->root, h.policy, &h.params, &t->params_extra);
    h.seed = read_seed(r, r->root);
    reader_copy_text(r, r->root, "device", h.device, sizeof h.device);
    reader_copy_text(r, r->root, "precision", h.precision, sizeof h.precision);
    h.threads = reader_get_int(r, r->root, "threads", 0, 1 << 20);
    const json_value *start = reader_need(r, r->root, "start");
    h.start = reader_as_ints(r, start, "start", -1, MAX_TOKENS, 0, h.n_vocab - 1, &h.n_tokens);
    if (!r->rc && !h.n_tokens) reader_fail_at(r, start, "start has no tokens");
    h.n_prompt = reader_get_int(r, r->root, "n_prompt", 0, h.n_tokens);
    reader_keep_unknown(r, r->root, known, &t->header_extra);
    if (r->rc) return;
    t->n_vocab = h.n_vocab;
    t->of = mem_new((size_t)h.n_vocab, sizeof *t->of);
    r->masked = mem_new((size_t)h.n_tokens, sizeof *r->masked);
    if (!t->of || !r->masked || !t->version) reader_fail_memory(r);
    read_texts(r, json_find(r->root, "texts"));
    if (!r->rc) r->rc = trajectory_init(&r->rp->traj, &h, (token_texts){.text = replay_text, .ctx = t}, r->e);
}
