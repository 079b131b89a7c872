/* model.c - opens a checkpoint directory: the denoiser, and tokenizer and tuning where they exist. */
#include "engine/model.h"

#include <cjson/cJSON.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

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

static int read_tuning(model_tuning *out, const char *dir, err *e) {
    char path[PATH_MAX];
    strbuf text;
    int n = snprintf(path, sizeof path, "%s/tabes.json", dir);
    if (n < 0 || (size_t)n >= sizeof path)
        return err_set(e, ERR_BAD_ARGUMENT, "%.60s...: path too long", dir);
    err missing = {0};
    int rc = strbuf_read_file(&text, path, TUNING_MAX_BYTES, &missing);
    if (rc == ERR_NOT_FOUND) return 0;
    if (rc) return err_set(e, rc, "%s", missing.msg);
    cJSON *root = cJSON_ParseWithLength(text.data, text.len);
    rc = parse_tuning(out, root, path, e);
    cJSON_Delete(root);
    strbuf_release(&text);
    return rc;
}

static int read_tokenizer(model *m, const char *dir, err *e) {
    err missing = {0};
    int rc = tokenizer_load(&m->tok, dir, &missing);
    if (rc == ERR_NOT_FOUND) return 0;
    if (rc) return err_set(e, rc, "%s", missing.msg);
    int n_vocab = denoiser_get_info(m->d)->n_vocab;
    if (tokenizer_vocab_size(m->tok) <= n_vocab) return 0;
    return err_set(e, ERR_BAD_FORMAT, "%s/tokenizer.json: has ids up to %d, the model only 0..%d", dir,
                   tokenizer_vocab_size(m->tok) - 1, n_vocab - 1);
}

int model_open(model *m, const char *path, const denoiser_opts *o, err *e) {
    *m = (model){0};
    int rc = denoiser_load(&m->d, path, o, e);
    if (!rc) rc = read_tokenizer(m, path, e);
    if (!rc) rc = read_tuning(&m->tuning, path, e);
    if (rc) model_close(m);
    return rc;
}

void model_close(model *m) {
    if (!m) return;
    tokenizer_close(m->tok);
    denoiser_close(m->d);
    *m = (model){0};
}

token_texts model_texts(const model *m) {
    return m->tok ? tokenizer_texts(m->tok) : tokenizer_no_texts();
}

int model_prompt(const model *m, const char *text, size_t n, int32_t **ids, int *n_ids, err *e) {
    *ids = NULL;
    *n_ids = 0;
    const denoiser_info *info = denoiser_get_info(m->d);
    if (!m->tok) {
        return err_set(e, ERR_UNSUPPORTED, "%s has no tokenizer.json; use --prompt-tokens", info->name);
    }
    int rc = tokenizer_encode(m->tok, text, n, info->mask_id, true, ids, n_ids, e);
    return rc ? err_prefix(e, "prompt") : 0;
}
