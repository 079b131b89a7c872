/* model.c - opens a checkpoint: the denoiser, and tokenizer, chat template and tuning where they exist. */
#include "engine/model.h"

#include <cjson/cJSON.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/base/mem.h"
#include "engine/base/strbuf.h"

enum { TUNING_MAX_BYTES = 1 << 16 };

/* One number of tabes.json's "boe". */
static int read_number(const cJSON *boe, const char *key, const char *path, double *out, err *e) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(boe, key);
    if (cJSON_IsNumber(item) && item->valuedouble >= 0.0 && item->valuedouble <= 1e6) {
        *out = item->valuedouble;
        return 0;
    }
    return err_set(e, ERR_BAD_FORMAT, "%s: boe.%s: %s, expected a number from 0 to 1e6", path, key,
                   item ? "not in range" : "missing");
}

/* A file without "boe" tunes nothing. */
static int parse_tuning(model_tuning *out, const cJSON *root, const char *path, err *e) {
    if (!cJSON_IsObject(root)) return err_set(e, ERR_BAD_FORMAT, "%s: not a JSON object", path);
    const cJSON *boe = cJSON_GetObjectItemCaseSensitive(root, "boe");
    if (!boe) return 0;
    if (!cJSON_IsObject(boe)) return err_set(e, ERR_BAD_FORMAT, "%s: boe: expected an object", path);
    model_tuning t = {.tuned = true};
    int rc = read_number(boe, "lambda", path, &t.lambda, e);
    if (!rc) rc = read_number(boe, "h_max", path, &t.h_max, e);
    if (!rc) *out = t;
    return rc;
}

static bool is_file(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static int read_tuning(model_tuning *out, const char *dir, err *e) {
    char path[PATH_MAX];
    strbuf text;
    int n = snprintf(path, sizeof path, "%s/tabes.json", dir);
    if (n < 0 || (size_t)n >= sizeof path)
        return err_set(e, ERR_BAD_ARGUMENT, "%.60s...: path too long", dir);
    err missing = {0};
    if (is_file(dir)) return 0; /* a GGUF file has nothing beside it */
    int rc = strbuf_read_file(&text, path, TUNING_MAX_BYTES, &missing);
    if (rc == ERR_NOT_FOUND) return 0;
    if (rc) return err_set(e, rc, "%s", missing.msg);
    cJSON *root = cJSON_ParseWithLength(text.data, text.len);
    rc = parse_tuning(out, root, path, e);
    cJSON_Delete(root);
    strbuf_release(&text);
    return rc;
}

/* The end of a turn in the template that the checkpoint brings, whichever is used: a decode must not depend
 * on how the prompt was written. */
static void find_turn_end(model *m) {
    const chat *own = m->tok ? chat_recognise(tokenizer_chat(m->tok)) : NULL;
    if (own) denoiser_set_turn_end(m->d, tokenizer_find(m->tok, own->stop));
}

/* The first of the tokenizers that is there: the one that was asked for must be. */
static int read_tokenizer(model *m, const char *path, const model_opts *o, err *e) {
    err missing = {0};
    int rc = tokenizer_load(&m->tok, o->tokenizer ? o->tokenizer : path, &missing);
    if (rc == ERR_NOT_FOUND && !o->tokenizer) return 0;
    return rc ? err_set(e, rc, "%s", missing.msg) : 0;
}

static int check_vocabulary(const model *m, const char *path, const model_opts *o, err *e) {
    int n_vocab = denoiser_get_info(m->d)->n_vocab;
    if (!m->tok || tokenizer_vocab_size(m->tok) <= n_vocab) return 0;
    return err_set(e, ERR_BAD_FORMAT, "%s: %s has ids up to %d, the model only 0..%d",
                   o->tokenizer ? o->tokenizer : path, tokenizer_source(m->tok),
                   tokenizer_vocab_size(m->tok) - 1, n_vocab - 1);
}

static int choose_chat(model *m, const model_opts *o, err *e) {
    if (o->raw && (o->chat || o->briefing))
        return err_set(e, ERR_BAD_ARGUMENT, "--raw leaves no room for --template or --system");
    if (o->raw) return 0;
    if (o->chat && !(m->chat = chat_find(o->chat)))
        return err_set(e, ERR_BAD_ARGUMENT, "--template: '%.40s', expected one of %s", o->chat, chat_names());
    if (!m->chat && m->tok) m->chat = chat_recognise(tokenizer_chat(m->tok));
    if (o->briefing && !m->chat)
        return err_set(e, ERR_BAD_ARGUMENT,
                       "--system: this checkpoint brings no chat template that is known; name "
                       "one with --template");
    if (o->briefing && !(m->briefing = mem_copy(o->briefing, strlen(o->briefing) + 1, 1)))
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    m->chat_named = o->chat || o->briefing;
    if (!m->chat || !m->tok) return 0;
    err lacking = {0};
    int rc = chat_check(m->chat, m->tok, &lacking);
    if (!rc) m->stop_id = tokenizer_find(m->tok, m->chat->stop);
    if (!rc || o->chat) return rc ? err_set(e, rc, "%s", lacking.msg) : 0;
    m->chat = NULL; /* a base model whose files still carry the template */
    return 0;
}

int model_open(model *m, const char *path, const model_opts *o, err *e) {
    static const model_opts none;
    *m = (model){.stop_id = -1};
    if (!o) o = &none;
    denoiser_opts run = o->run;
    int rc = read_tokenizer(m, path, o, e);
    if (!rc && m->tok) {
        run.mask_hint = tokenizer_mask(m->tok);
        run.has_mask_hint = run.mask_hint >= 0;
        run.n_tokens = tokenizer_vocab_size(m->tok);
    }
    if (!rc) rc = denoiser_load(&m->d, path, &run, e);
    if (!rc) rc = check_vocabulary(m, path, o, e);
    if (!rc) rc = read_tuning(&m->tuning, path, e);
    if (!rc) rc = choose_chat(m, o, e);
    if (!rc && m->tok) denoiser_set_texts(m->d, tokenizer_texts(m->tok));
    if (!rc) find_turn_end(m);
    if (rc) model_close(m);
    return rc;
}

void model_close(model *m) {
    if (!m) return;
    tokenizer_close(m->tok);
    denoiser_close(m->d);
    free(m->briefing);
    *m = (model){0};
}

bool model_stops(const model *m, int32_t token) {
    return token >= 0 && (token == denoiser_get_info(m->d)->eos_id || token == m->stop_id);
}

token_texts model_texts(const model *m) {
    return m->tok ? tokenizer_texts(m->tok) : tokenizer_no_texts();
}

static bool has_mask(const int32_t *ids, int n, int32_t mask) {
    for (int i = 0; i < n; i++) {
        if (ids[i] == mask) return true;
    }
    return false;
}

/* The template has its own beginning, so the tokenizer adds none. */
static int encode_chat(const model *m, const char *text, size_t n, int32_t **ids, int *n_ids, err *e) {
    strbuf whole;
    strbuf_init(&whole, SIZE_MAX / 4);
    chat_write(m->chat, m->briefing, text, n, &whole);
    int rc = whole.failed ? err_set(e, ERR_NO_MEMORY, "out of memory") : 0;
    if (!rc) {
        rc = tokenizer_encode(m->tok, whole.data, whole.len, denoiser_get_info(m->d)->mask_id, false, ids,
                              n_ids, e);
    }
    strbuf_release(&whole);
    return rc;
}

int model_prompt(const model *m, const char *text, size_t n, int32_t **ids, int *n_ids, err *e) {
    *ids = NULL;
    *n_ids = 0;
    const denoiser_info *info = denoiser_get_info(m->d);
    if (!m->tok) {
        return err_set(e, ERR_UNSUPPORTED,
                       "%s has no tokenizer; give one with --tokenizer DIR, or use --prompt-tokens",
                       info->name);
    }
    int rc = tokenizer_encode(m->tok, text, n, info->mask_id, true, ids, n_ids, e);
    if (rc) return err_prefix(e, "prompt");
    if (!m->chat || (has_mask(*ids, *n_ids, info->mask_id) && !m->chat_named)) return 0;
    free(*ids);
    *ids = NULL;
    *n_ids = 0;
    rc = encode_chat(m, text, n, ids, n_ids, e);
    return rc ? err_prefix(e, "prompt in the chat template %s", m->chat->name) : 0;
}
