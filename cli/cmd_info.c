/* cmd_info.c - what a checkpoint is, and what it would run on. */
#include <inttypes.h>

#include "cli/args.h"
#include "cli/doc.h"
#include "kernels/blocks.h"

/* Tokens that the memory of a session is told for. */
enum { ROOM_TOKENS = 512 };

static int info_main(int argc, char **argv);

const command cmd_info = {
    .name = "info",
    .summary = "what a checkpoint is and what it needs: sizes, types, memory, tokenizer, template, device",
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

static int room_tokens(const denoiser_info *i) {
    return i->max_len < ROOM_TOKENS ? i->max_len : ROOM_TOKENS;
}

static void doc_room(doc *j, const model *m) {
    int tokens = room_tokens(denoiser_get_info(m->d));
    denoiser_room room = denoiser_needs(m->d, tokens);
    doc_object(j, "memory_needed");
    doc_uint(j, "weight_bytes", room.weights);
    doc_uint(j, "session_bytes", room.pass);
    doc_int(j, "session_tokens", tokens);
    doc_end(j);
}

static void doc_types(doc *j, const denoiser_info *i) {
    doc_object(j, "types");
    for (int t = 0; t < K_DTYPES; t++) {
        if (i->type_bytes[t]) doc_uint(j, k_block_of((k_dtype)t).name, i->type_bytes[t]);
    }
    doc_end(j);
}

static void doc_tokenizer(doc *j, const model *m) {
    if (!m->tok) {
        doc_null(j, "tokenizer");
    } else {
        doc_object(j, "tokenizer");
        doc_string(j, "source", tokenizer_source(m->tok));
        doc_int(j, "ids", tokenizer_vocab_size(m->tok));
        doc_end(j);
    }
    if (m->chat) {
        doc_string(j, "template", m->chat->name);
    } else {
        doc_null(j, "template");
    }
    token_texts texts = model_texts(m);
    size_t len = 0;
    const char *mask = texts.text(texts.ctx, denoiser_get_info(m->d)->mask_id, &len, NULL);
    if (mask) {
        doc_bytes(j, "mask_token", mask, len);
    } else {
        doc_null(j, "mask_token");
    }
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
    doc_types(&j, i);
    doc_uint(&j, "weight_bytes", i->weight_bytes);
    doc_room(&j, m);
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
    doc_tokenizer(&j, m);
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
    cli_check_shown(&clean);
    strbuf_release(&clean);
}

static void print_device(const model *m) {
    const denoiser_info *i = denoiser_get_info(m->d);
    k_memory mem;
    denoiser_memory(m->d, &mem);
    print_row("device");
    cli_print("%s (%s), products in %s\n", i->device, i->device_title, i->precision);
    if (!mem.total_bytes) return;
    print_row("device memory");
    printf("%.2f GB used by the model, %.2f of %.2f GB free\n", (double)mem.used_bytes / 1e9,
           (double)mem.free_bytes / 1e9, (double)mem.total_bytes / 1e9);
}

/* "4.53 GB", in the largest unit that leaves a digit before the point. */
static void print_size(size_t bytes) {
    static const char *const units[] = {"bytes", "kB", "MB", "GB"};
    double v = (double)bytes;
    int unit = 0;
    for (; v >= 999.5 && unit < 3; unit++) v /= 1000;
    printf("%.3g %s", v, units[unit]);
}

/* "4.2 GB in Q4_K, 425 MB in Q6_K" */
static void print_types(const denoiser_info *i) {
    const char *between = "";
    for (int t = 0; t < K_DTYPES; t++) {
        if (!i->type_bytes[t]) continue;
        fputs(between, stdout);
        print_size(i->type_bytes[t]);
        printf(" in %s", k_block_of((k_dtype)t).name);
        between = ", ";
    }
    putchar('\n');
}

static void print_room(const model *m) {
    int tokens = room_tokens(denoiser_get_info(m->d));
    denoiser_room room = denoiser_needs(m->d, tokens);
    print_row("memory");
    print_size(room.weights);
    fputs(" for weights, ", stdout);
    print_size(room.pass);
    printf(" for a session of %d tokens\n", tokens);
}

static void print_tokenizer(const model *m) {
    print_row("tokenizer");
    if (m->tok) {
        cli_print("%s, %d ids\n", tokenizer_source(m->tok), tokenizer_vocab_size(m->tok));
    } else {
        puts("none: prompts are token ids, or --tokenizer DIR");
    }
    print_row("template");
    if (m->chat) {
        puts(m->chat->name);
    } else if (m->tok && tokenizer_chat(m->tok)) {
        puts("none used: the checkpoint's own is not known; name one with --template");
    } else {
        puts("none: prompts are used as they are");
    }
}

static void print_text(const model *m) {
    const denoiser_info *i = denoiser_get_info(m->d);
    print_row("model");
    cli_print("%s (%s, %s)\n", i->name, i->arch,
              i->shifted ? "shifted: position p is predicted by row p-1" : "unshifted");
    print_row("parameters");
    printf("%" PRId64 "\n", i->n_params);
    print_row("types");
    print_types(i);
    print_room(m);
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
    print_tokenizer(m);
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
