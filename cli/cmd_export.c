/* cmd_export.c - `tabes export FILE [FILE] --to FORMAT`: a recording for other programs and for readers. */
#include <errno.h>
#include <string.h>

#include "cli/args.h"
#include "replay/replay.h"

/* One line of help for each format. */
#define FORMAT_LINE(name, runs, view, at, help) "                          " #name ": " help "\n"
#define HELP_FORMATS                            EXPORT_FORMATS(FORMAT_LINE)

static const char usage[] =
    "usage: tabes export FILE [FILE] --to FORMAT [-o OUT]\n"
    "\n"
    "Writes a recording for other programs, for readers or for a paper. No model is needed.\n"
    "\n"
    "Arguments:\n"
    "  FILE                    trajectory file, '-' for standard input; html takes two\n"
    "\n"
    "Options:\n"
    "      --to FORMAT         one of\n" HELP_FORMATS
    "      --at N|end          html, svg: the state shown; 0 is the start, n is after step n\n"
    "                          (default: end for svg, 0 for html)\n"
    "      --color NAME        html, svg: plain (default), entropy, confidence, tis or order\n"
    "  -o, --output OUT        write to a file (default: standard output)\n"
    "  -q, --quiet             no notes on standard error\n"
    "      --help              print this and exit\n";

static int run_export(int argc, char **argv);

const command cmd_export = {.name = "export",
                            .summary = "a recording as JSON, CSV, a page, a figure or a summary",
                            .usage = usage,
                            .run = run_export};

enum { MAX_RUNS = 2 };
static const size_t EXPORT_MAX = (size_t)1 << 31;

/* What was asked for. */
typedef struct request {
    const char *to, *at, *color, *path;
    const export_format *format;
    export_opts opts;
} request;

static int write_out(const strbuf *text, const char *path) {
    FILE *f = fopen(path, "wb");
    bool ok = f && fwrite(text->data, 1, text->len, f) == text->len;
    int why = errno;
    if (f && fclose(f) && ok) {
        ok = false;
        why = errno;
    }
    if (ok) return EXIT_OK;
    err e = {0};
    err_set(&e, ERR_IO, "%s: %s", path, strerror(why));
    return cli_report(&e);
}

static const char *format_names(char *buf, size_t size) {
    size_t used = 0;
    buf[0] = '\0';
    for (const export_format *f = export_formats; f->name && used < size; f++) {
        const char *before = f == export_formats ? "" : f[1].name ? ", " : " or ";
        used += (size_t)snprintf(buf + used, size - used, "%s%s", before, f->name);
    }
    return buf;
}

/* -1 to go on, or the exit code after a message. */
static int read_options(request *q, int n_files) {
    char names[100];
    err e = {0};
    format_names(names, sizeof names);
    if (!q->to) return cli_usage_error(&cmd_export, "--to is missing, expected %s", names);
    q->format = export_find(q->to);
    if (!q->format) return cli_usage_error(&cmd_export, "--to \"%s\", expected %s", q->to, names);
    if (n_files < 1 || n_files > q->format->max_runs) {
        return cli_usage_error(&cmd_export, "expected one%s FILE, got %d",
                               q->format->max_runs > 1 ? " or two" : "", n_files);
    }
    if ((q->at || q->color) && !q->format->has_view) {
        return cli_usage_error(&cmd_export, "--%s is not used by %s, which shows every state",
                               q->at ? "at" : "color", q->to);
    }
    q->opts.at = q->format->default_at;
    if (q->at && export_parse_at(q->at, &q->opts.at, &e))
        return cli_usage_error(&cmd_export, "--at %s", e.msg);
    if (q->color && export_parse_color(q->color, &q->opts.color, &e))
        return cli_usage_error(&cmd_export, "--color %s", e.msg);
    return -1;
}

static int export_to(const request *q, replay *const *files, int n) {
    const trajectory *runs[MAX_RUNS];
    strbuf text;
    err e = {0};
    int rc;
    for (int i = 0; i < n; i++) runs[i] = &files[i]->traj;
    strbuf_init(&text, EXPORT_MAX);
    if (export_write(q->format, runs, n, q->opts, &text, &e)) {
        rc = cli_report(&e);
    } else if (q->path) {
        rc = write_out(&text, q->path);
    } else {
        fwrite(text.data, 1, text.len, stdout);
        rc = cli_finish(EXIT_OK);
    }
    strbuf_release(&text);
    return rc;
}

static int load(const cli_args *a, replay **files, err *e) {
    for (int i = 0; i < a->n_operands; i++) {
        int rc = replay_load(&files[i], a->operands[i], e);
        if (rc) return rc;
        if (files[i]->truncated && !a->quiet)
            fprintf(stderr, "tabes: %s: %s\n", files[i]->path, files[i]->note);
    }
    return 0;
}

static int run_export(int argc, char **argv) {
    request q = {0};
    const cli_extra extra[] = {{"to", 0, &q.to, NULL},
                               {"at", 0, &q.at, NULL},
                               {"color", 0, &q.color, NULL},
                               {"output", 'o', &q.path, NULL},
                               {0}};
    cli_args a = {0};
    err e = {0};
    replay *files[MAX_RUNS] = {0};
    int rc = cli_parse(&a, &cmd_export, CLI_QUIET | CLI_OPERANDS, extra, argc, argv);
    if (rc >= 0) return rc;
    rc = read_options(&q, a.n_operands);
    if (rc >= 0) return rc;
    rc = load(&a, files, &e) ? cli_report_input(&e) : export_to(&q, files, a.n_operands);
    for (int i = 0; i < MAX_RUNS; i++) replay_close(files[i]);
    return rc;
}
