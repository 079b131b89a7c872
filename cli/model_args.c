/* model_args.c - what the options name becomes an open model, and a prompt becomes ids. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli/args.h"
#include "cli/upload.h"

enum { PROMPT_MAX_BYTES = 4 << 20 };

int cli_bundled_path(const char *kind, const char *name, char *buf, size_t size) {
    char exe[4096];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    exe[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(exe, '/');
    if (slash) *slash = '\0';
    const struct {
        const char *root, *below;
    } places[] = {{exe, "/../examples"},
                  {exe, "/../share/tabes"},
                  {TABES_SOURCE_DIR, "/examples"},
                  {TABES_DATA_DIR, ""}};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        int len = snprintf(buf, size, "%s%s/%s/%s", places[i].root, places[i].below, kind, name);
        if (len > 0 && (size_t)len < size && access(buf, F_OK) == 0) return 0;
    }
    if (size) buf[0] = '\0';
    return ERR_NOT_FOUND;
}

/* Rows that the passes of all policies will have, as far as the options tell before there is a tokenizer; 0:
 * they do not. */
static int planned_rows(const cli_args *a) {
    int length = a->length < 0 ? CLI_DEFAULT_LENGTH : a->length, n = 0;
    for (const char *s = a->prompt_tokens; s && *s; s++) n += *s == ',';
    return a->prompt_tokens ? (n + 1 + length) * (a->n_policies > 1 ? a->n_policies : 1) : 0;
}

/* The model on the device that was asked for. */
static int open_on_device(const cli_args *a, model *m, const char *path, err *e) {
    upload u;
    const char *device = a->device ? a->device : "auto";
    upload_begin(&u, strchr(device, ':') ? device : "cuda:0", a->quiet);
    int rc = model_open(m, path,
                        &(model_opts){.run = {.device = device,
                                              .precision = a->precision,
                                              .progress = upload_progress,
                                              .ctx = &u,
                                              .plan_rows = planned_rows(a),
                                              .has_mask = a->mask_given,
                                              .mask_id = a->mask_id,
                                              .shift = a->shift},
                                      .tokenizer = a->tokenizer,
                                      .chat = a->chat,
                                      .briefing = a->briefing,
                                      .raw = a->raw},
                        e);
    upload_end(&u);
    if (rc) return rc;
    const char *note = denoiser_get_info(m->d)->device_note;
    if (note[0] && !a->quiet) cli_note("note: %s", note);
    return 0;
}

int cli_open_model(cli_args *a, model *m, err *e) {
    char path[4096];
    const char *name = a->model ? a->model : "sudoku";
    if (!*name)
        return err_set(e, ERR_BAD_ARGUMENT,
                       "-m: an empty name; give a checkpoint directory or a bundled model");
    bool plain = !strchr(name, '/') && strcmp(name, ".") && strcmp(name, "..");
    bool bundled = plain && (!a->model || access(name, F_OK) != 0);
    if (!bundled || cli_bundled_path("models", name, path, sizeof path)) {
        if (!a->model)
            return err_set(e, ERR_NOT_FOUND, "the bundled model is not installed; name one with -m");
        snprintf(path, sizeof path, "%s", name);
    }
    kernels_set_threads(a->threads);
    int rc = open_on_device(a, m, path, e);
    if (rc) return rc;
    if (a->n_policies && (rc = cli_fill_policies(a, &m->tuning, e))) model_close(m);
    return rc;
}

bool cli_has_prompt(const cli_args *a) {
    return a->prompt || a->prompt_file || a->prompt_tokens;
}

static int read_stdin(strbuf *b, err *e) {
    char chunk[16384];
    size_t n;
    strbuf_init(b, PROMPT_MAX_BYTES);
    while ((n = fread(chunk, 1, sizeof chunk, stdin)) > 0 && !b->failed) strbuf_add(b, chunk, n);
    int rc = 0;
    if (b->failed) rc = strbuf_fault(b, "standard input", e);
    if (ferror(stdin)) rc = err_set(e, ERR_IO, "standard input: %s", strerror(errno));
    if (rc) strbuf_release(b);
    return rc;
}

int cli_read_text(const char *path, strbuf *b, err *e) {
    int rc = strcmp(path, "-") ? strbuf_read_file(b, path, PROMPT_MAX_BYTES, e) : read_stdin(b, e);
    if (rc) return rc;
    if (b->len && b->data[b->len - 1] == '\n') b->data[--b->len] = '\0';
    return 0;
}

int cli_read_prompt(const cli_args *a, const model *m, int32_t **ids, int *n, err *e) {
    *ids = NULL;
    *n = 0;
    if (a->prompt) return model_prompt(m, a->prompt, strlen(a->prompt), ids, n, e);
    if (a->prompt_tokens) {
        return cli_parse_ids(a->prompt_tokens, "--prompt-tokens", denoiser_get_info(m->d)->n_vocab, ids, n,
                             e);
    }
    if (!a->prompt_file) {
        return err_set(e, ERR_NOT_FOUND, "no prompt given; use --prompt, --prompt-file or --prompt-tokens");
    }
    strbuf text;
    int rc = cli_read_text(a->prompt_file, &text, e);
    if (rc) return rc;
    rc = model_prompt(m, text.data, text.len, ids, n, e);
    if (rc) err_prefix(e, "%s", strcmp(a->prompt_file, "-") ? a->prompt_file : "standard input");
    strbuf_release(&text);
    return rc;
}

int cli_length(const cli_args *a, const model *m, const int32_t *ids, int n) {
    if (a->length >= 0) return a->length;
    const denoiser_info *info = denoiser_get_info(m->d);
    for (int i = 0; i < n; i++) {
        if (ids[i] == info->mask_id) return 0;
    }
    int left = info->max_len > n ? info->max_len - n : 0;
    return left < CLI_DEFAULT_LENGTH ? left : CLI_DEFAULT_LENGTH;
}
