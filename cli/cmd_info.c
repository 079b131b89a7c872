/* cmd_info.c - what a checkpoint is, and what it would run on. */
#include <inttypes.h>

#include "cli/args.h"
#include "cli/doc.h"

static int info_main(int argc, char **argv);

const command cmd_info = {
    .name = "info",
    .summary = "what a checkpoint is and where it runs: sizes, ids, tokenizer, tuning, device",
    .usage = "usage: tabes info [-m MODEL | MODEL] [--json]\n"
             "\n" HELP_MODEL HELP_JSON,
    .run = info_main,
};

static void doc_id(doc *j, const char *key, int32_t id) {
    if (id < 0) {
        doc_null(j, key);
    } else {
        doc_int(j, key, id);
    }
}

/* null where memory means nothing of its own: on the CPU. */
static void doc_memory(doc *j, const model *m) {
    k_memory mem;
    denoiser_memory(m->d, &mem);
    if (!mem.total_bytes) {
        doc_null(j, "device_memory");
        return;
    }
    doc_object(j, "device_memory");
    doc_uint(j, "used_bytes", mem.used_bytes);
    doc_uint(j, "free_bytes", mem.free_bytes);
    doc_uint(j, "total_bytes", mem.total_bytes);
    doc_end(j);
}

static int print_json(const model *m, err *e) {
    const denoiser_info *i = denoiser_get_info(m->d);
    doc j;
    doc_init(&j);
    doc_object(&j, NULL);
    doc_string(&j, "name", i->name);
    doc_string(&j, "architecture", i->arch);
    doc_int(&j, "parameters", i->n_params);
    doc_string(&j, "dtype", i->dtype);
    doc_uint(&j, "weight_bytes", i->weight_bytes);
    doc_int(&j, "layers", i->n_layers);
    doc_int(&j, "d_model", i->d_model);
    doc_int(&j, "heads", i->n_heads);
    doc_int(&j, "kv_heads", i->n_kv_heads);
    doc_int(&j, "mlp_size", i->mlp_size);
    doc_int(&j, "context", i->max_len);
    doc_int(&j, "vocab", i->n_vocab);
    doc_id(&j, "mask_id", i->mask_id);
    doc_id(&j, "bos_id", i->bos_id);
    doc_id(&j, "eos_id", i->eos_id);
    doc_id(&j, "pad_id", i->pad_id);
    doc_bool(&j, "shifted", i->shifted);
    doc_bool(&j, "tokenizer", m->tok != NULL);
    if (m->tuning.tuned) {
        doc_object(&j, "tuning");
        doc_real(&j, "lambda", m->tuning.lambda);
        doc_real(&j, "h_max", m->tuning.h_max);
        doc_end(&j);
    } else {
        doc_null(&j, "tuning");
    }
    doc_string(&j, "fingerprint", i->fingerprint);
    doc_string(&j, "device", i->device);
    doc_string(&j, "device_title", i->device_title);
    doc_string(&j, "precision", i->precision);
    doc_memory(&j, m);
    doc_end(&j);
    return doc_print(&j, e);
}

static void print_row(const char *name) {
    printf("%-14s ", name);
}

static void print_id(const model *m, const char *name, int32_t id) {
    if (id < 0) return;
    token_texts texts = model_texts(m);
    size_t len = 0;
    const char *text = texts.text(texts.ctx, id, &len, NULL);
    strbuf clean;
    strbuf_init(&clean, 1 << 20);
    if (text) text_clean(&clean, text, len, false);
    print_row(name);
    printf("%d%s%s\n", (int)id, text ? "  " : "", clean.data);
    strbuf_release(&clean);
}

static void print_device(const model *m) {
    const denoiser_info *i = denoiser_get_info(m->d);
    k_memory mem;
    denoiser_memory(m->d, &mem);
    print_row("device");
    printf("%s (%s), activations in %s\n", i->device, i->device_title, i->precision);
    if (!mem.total_bytes) return;
    print_row("device memory");
    printf("%.2f GB used by the model, %.2f of %.2f GB free\n", (double)mem.used_bytes / 1e9,
           (double)mem.free_bytes / 1e9, (double)mem.total_bytes / 1e9);
}

static void print_text(const model *m) {
    const denoiser_info *i = denoiser_get_info(m->d);
    print_row("model");
    printf("%s (%s, %s)\n", i->name, i->arch,
           i->shifted ? "shifted: position p is predicted by row p-1" : "unshifted");
    print_row("parameters");
    printf("%" PRId64 " in %s, %.1f MiB\n", i->n_params, i->dtype, (double)i->weight_bytes / 1048576.0);
    print_row("layers");
    printf("%d of width %d, %d heads over %d key/value heads, MLP %d\n", i->n_layers, i->d_model, i->n_heads,
           i->n_kv_heads, i->mlp_size);
    print_row("context");
    printf("%d positions\n", i->max_len);
    print_row("vocabulary");
    printf("%d rows, mask included\n", i->n_vocab);
    print_id(m, "mask", i->mask_id);
    print_id(m, "bos", i->bos_id);
    print_id(m, "eos", i->eos_id);
    print_id(m, "pad", i->pad_id);
    print_row("tokenizer");
    if (m->tok) {
        printf("tokenizer.json, %d ids\n", tokenizer_vocab_size(m->tok));
    } else {
        puts("none: prompts are token ids");
    }
    print_row("tuning");
    if (m->tuning.tuned) {
        printf("lambda %g, h-max %g (tabes.json)\n", m->tuning.lambda, m->tuning.h_max);
    } else {
        puts("none: anti-collapse is off unless --lambda is given");
    }
    print_row("fingerprint");
    puts(i->fingerprint);
    print_device(m);
}

static int info_main(int argc, char **argv) {
    cli_args a = {0};
    int rc = cli_parse(&a, &cmd_info, CLI_MODEL | CLI_JSON | CLI_OPERANDS, NULL, argc, argv);
    if (rc >= 0) return rc;
    if (a.n_operands > 1 || (a.n_operands && a.model)) return cli_usage_error(&cmd_info, "name one model");
    if (a.n_operands) a.model = a.operands[0];
    err e = {0};
    model m;
    if (cli_open_model(&a, &m, &e)) return cli_report_input(&e);
    rc = EXIT_OK;
    if (!a.json) {
        print_text(&m);
    } else if (print_json(&m, &e)) {
        rc = cli_report(&e);
    }
    model_close(&m);
    return rc;
}
