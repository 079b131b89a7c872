/* cmd_tokenize.c - text to token ids and back. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/args.h"
#include "cli/doc.h"

static int tokenize_main(int argc, char **argv);

const command cmd_tokenize = {
    .name = "tokenize",
    .summary = "text to token ids and back",
    .usage =
        "usage: tabes tokenize [-m MODEL | --tokenizer DIR] [--json] [TEXT | -]\n"
        "       tabes tokenize [-m MODEL | --tokenizer DIR] --lines\n"
        "       tabes tokenize [-m MODEL | --tokenizer DIR] [--json] --decode IDS\n"
        "\n"
        "Prints the ids of TEXT with the text of each; '-' or no TEXT reads standard input and drops one "
        "newline\n"
        "at its end. <mask> stands for the mask token, <mask:12> for twelve. Text that is not valid UTF-8 is "
        "refused.\n"
        "With --tokenizer and no -m no model is opened.\n"
        "\n" HELP_MODEL
        "      --decode IDS        print the text of a JSON array of ids, special tokens included\n"
        "      --lines             every line of standard input is a text: its ids as a JSON array a line\n"
        "      --no-special        leave out what the tokenizer puts around a text (BOS)\n" HELP_JSON,
    .run = tokenize_main,
};

static int print_pieces_json(token_texts texts, const int32_t *ids, int n, err *e) {
    doc j;
    doc_init(&j);
    doc_object(&j, NULL);
    doc_ids(&j, "ids", ids, n);
    doc_array(&j, "pieces");
    for (int i = 0; i < n; i++) {
        size_t len;
        const char *s = texts.text(texts.ctx, ids[i], &len, NULL);
        if (s) {
            doc_bytes(&j, NULL, s, len);
        } else {
            doc_null(&j, NULL);
        }
    }
    doc_end(&j);
    doc_end(&j);
    return doc_print(&j, e);
}

static void print_pieces(token_texts texts, const int32_t *ids, int n) {
    printf("%8s %8s  %s\n", "position", "id", "text");
    for (int i = 0; i < n; i++) {
        size_t len;
        bool special = false;
        const char *s = texts.text(texts.ctx, ids[i], &len, &special);
        doc quoted;
        doc_init(&quoted);
        if (s) doc_bytes(&quoted, NULL, s, len);
        printf("%8d %8d  %s%s\n", i, (int)ids[i], s ? quoted.text.data : "?", special ? "  special" : "");
        cli_check_shown(&quoted.text);
        doc_release(&quoted);
    }
}

/* A tokenizer, perhaps of a model. */
typedef struct source {
    model m; /* zero when there is none */
    tokenizer *alone;
    const tokenizer *tok;
    int32_t mask_id;
    int n_vocab;
} source;

static int open_source(source *s, cli_args *a, err *e) {
    *s = (source){0};
    if (a->tokenizer && !a->model) {
        int rc = tokenizer_load(&s->alone, a->tokenizer, e);
        if (rc) return rc;
        s->tok = s->alone;
        s->mask_id = a->mask_given ? a->mask_id : tokenizer_mask(s->alone);
        s->n_vocab = tokenizer_vocab_size(s->alone);
        return 0;
    }
    if (!a->device) a->device = "cpu"; /* the weights are not used */
    int rc = cli_open_model(a, &s->m, e);
    if (rc) return rc;
    const denoiser_info *info = denoiser_get_info(s->m.d);
    s->tok = s->m.tok, s->mask_id = info->mask_id, s->n_vocab = info->n_vocab;
    return s->tok ? 0
                  : err_set(e, ERR_UNSUPPORTED, "%s has no tokenizer; give one with --tokenizer DIR",
                            info->name);
}

static void close_source(source *s) {
    model_close(&s->m);
    tokenizer_close(s->alone);
}

static int encode(const cli_args *a, const source *s, bool special, err *e) {
    strbuf text;
    int32_t *ids = NULL;
    int n = 0, rc = 0;
    const char *operand = a->n_operands ? a->operands[0] : "-";
    if (strcmp(operand, "-")) {
        strbuf_init(&text, SIZE_MAX / 4);
        strbuf_puts(&text, operand);
    } else {
        rc = cli_read_text("-", &text, e);
        if (rc) return rc;
    }
    rc = text.failed ? strbuf_fault(&text, "the text", e)
                     : tokenizer_encode(s->tok, text.data, text.len, s->mask_id, special, &ids, &n, e);
    strbuf_release(&text);
    if (rc) return rc;
    if (a->json) {
        rc = print_pieces_json(tokenizer_texts(s->tok), ids, n, e);
    } else {
        print_pieces(tokenizer_texts(s->tok), ids, n);
    }
    free(ids);
    return rc;
}

static int encode_line(const source *s, const char *text, size_t n, bool special, err *e) {
    int32_t *ids;
    int n_ids;
    int rc = tokenizer_encode(s->tok, text, n, s->mask_id, special, &ids, &n_ids, e);
    if (rc) return rc;
    doc j;
    doc_init(&j);
    doc_ids(&j, NULL, ids, n_ids);
    free(ids);
    return doc_print(&j, e);
}

static int encode_lines(const source *s, bool special, err *e) {
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    int rc = 0;
    for (int number = 1; !rc && (n = getline(&line, &cap, stdin)) >= 0; number++) {
        if (n && line[n - 1] == '\n') n--;
        rc = encode_line(s, line, (size_t)n, special, e);
        if (rc) err_prefix(e, "standard input: line %d", number);
    }
    free(line);
    return rc;
}

/* Into a file or a pipe the bytes go as they are: a tokenizer's round trip must be exact. */
static void print_decoded(const strbuf *text) {
    strbuf clean;
    strbuf_init(&clean, SIZE_MAX / 4);
    if (isatty(STDOUT_FILENO)) text_clean(&clean, text->data, text->len, true);
    const strbuf *out = isatty(STDOUT_FILENO) ? &clean : text;
    fwrite(out->data, 1, out->len, stdout); /* main reports a failed write */
    putchar('\n');
    strbuf_release(&clean);
}

static int decode(const cli_args *a, const source *s, const char *list, err *e) {
    int32_t *ids;
    int n;
    int rc = cli_parse_ids(list, "--decode", s->n_vocab, &ids, &n, e);
    if (rc) return rc;
    strbuf text;
    strbuf_init(&text, SIZE_MAX / 4);
    tokenizer_decode(s->tok, ids, n, true, &text);
    if (a->json) {
        doc j;
        doc_init(&j);
        doc_object(&j, NULL);
        doc_bytes(&j, "text", text.data, text.len);
        doc_end(&j);
        rc = doc_print(&j, e);
    } else {
        print_decoded(&text);
    }
    cli_check_shown(&text);
    strbuf_release(&text);
    free(ids);
    return rc;
}

static int tokenize_main(int argc, char **argv) {
    const char *list = NULL;
    bool no_special = false, lines = false;
    const cli_extra extra[] = {
        {"decode", 'd', &list, NULL}, {"lines", 0, NULL, &lines}, {"no-special", 0, NULL, &no_special}, {0}};
    cli_args a = {0};
    int rc = cli_parse(&a, &cmd_tokenize, CLI_MODEL | CLI_JSON | CLI_OPERANDS, extra, argc, argv);
    if (rc >= 0) return rc;
    if (a.n_operands > 1) return cli_usage_error(&cmd_tokenize, "more than one TEXT; put it in quotes");
    if ((list != NULL) + lines + (a.n_operands > 0) > 1)
        return cli_usage_error(&cmd_tokenize, "give only one of TEXT, --lines and --decode");
    err e = {0};
    source s;
    rc = open_source(&s, &a, &e);
    if (!rc && list) {
        rc = decode(&a, &s, list, &e);
    } else if (!rc) {
        rc = lines ? encode_lines(&s, !no_special, &e) : encode(&a, &s, !no_special, &e);
    }
    close_source(&s);
    return rc ? cli_report_input(&e) : EXIT_OK;
}
