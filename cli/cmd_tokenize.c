/* cmd_tokenize.c - text to token ids and back. */
#include <stdlib.h>
#include <string.h>

#include "cli/args.h"
#include "cli/doc.h"

static int tokenize_main(int argc, char **argv);

const command cmd_tokenize = {
    .name = "tokenize",
    .summary = "text to token ids and back",
    .usage =
        "usage: tabes tokenize [-m MODEL] [--json] [TEXT | -]\n"
        "       tabes tokenize [-m MODEL] [--json] --decode IDS\n"
        "\n"
        "Prints the ids of TEXT with the text of each; '-' or no TEXT reads standard input and drops one "
        "newline\n"
        "at its end. <mask> stands for the model's mask token. Text that is not valid UTF-8 is refused.\n"
        "\n" HELP_MODEL
        "      --decode IDS        print the text of a JSON array of ids, special tokens included\n"
        "      --no-special        leave out what the tokenizer puts around a text (BOS)\n" HELP_JSON,
    .run = tokenize_main,
};

static int print_pieces_json(const model *m, const int32_t *ids, int n, err *e) {
    token_texts texts = model_texts(m);
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

static void print_pieces(const model *m, const int32_t *ids, int n) {
    token_texts texts = model_texts(m);
    printf("%8s %8s  %s\n", "position", "id", "text");
    for (int i = 0; i < n; i++) {
        size_t len;
        bool special = false;
        const char *s = texts.text(texts.ctx, ids[i], &len, &special);
        doc quoted;
        doc_init(&quoted);
        if (s) doc_bytes(&quoted, NULL, s, len);
        printf("%8d %8d  %s%s\n", i, (int)ids[i], s ? quoted.text.data : "?", special ? "  special" : "");
        doc_release(&quoted);
    }
}

static int encode(const cli_args *a, const model *m, bool special, err *e) {
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
    rc =
        tokenizer_encode(m->tok, text.data, text.len, denoiser_get_info(m->d)->mask_id, special, &ids, &n, e);
    strbuf_release(&text);
    if (rc) return rc;
    if (a->json) {
        rc = print_pieces_json(m, ids, n, e);
    } else {
        print_pieces(m, ids, n);
    }
    free(ids);
    return rc;
}

static int decode(const cli_args *a, const model *m, const char *list, err *e) {
    int32_t *ids;
    int n;
    int rc = cli_parse_ids(list, "--decode", denoiser_get_info(m->d)->n_vocab, &ids, &n, e);
    if (rc) return rc;
    strbuf text;
    strbuf_init(&text, SIZE_MAX / 4);
    tokenizer_decode(m->tok, ids, n, true, &text);
    if (a->json) {
        doc j;
        doc_init(&j);
        doc_object(&j, NULL);
        doc_bytes(&j, "text", text.data, text.len);
        doc_end(&j);
        rc = doc_print(&j, e);
    } else {
        fwrite(text.data, 1, text.len, stdout);
        putchar('\n');
    }
    strbuf_release(&text);
    free(ids);
    return rc;
}

static int tokenize_main(int argc, char **argv) {
    const char *list = NULL;
    bool no_special = false;
    const cli_extra extra[] = {{"decode", 'd', &list, NULL}, {"no-special", 0, NULL, &no_special}, {0}};
    cli_args a = {0};
    int rc = cli_parse(&a, &cmd_tokenize, CLI_MODEL | CLI_JSON | CLI_OPERANDS, extra, argc, argv);
    if (rc >= 0) return rc;
    if (a.n_operands > 1) return cli_usage_error(&cmd_tokenize, "more than one TEXT; put it in quotes");
    if (list && a.n_operands) return cli_usage_error(&cmd_tokenize, "give either TEXT or --decode");
    if (!a.device) a.device = "cpu"; /* the weights are not used */
    err e = {0};
    model m;
    if (cli_open_model(&a, &m, &e)) return cli_report_input(&e);
    if (!m.tok) {
        rc = err_set(&e, ERR_UNSUPPORTED, "%s has no tokenizer.json", denoiser_get_info(m.d)->name);
    } else {
        rc = list ? decode(&a, &m, list, &e) : encode(&a, &m, !no_special, &e);
    }
    model_close(&m);
    return rc ? cli_report_input(&e) : EXIT_OK;
}
