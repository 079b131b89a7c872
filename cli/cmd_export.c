/* cmd_export.c - `tabes export FILE [FILE] --to FORMAT`: a recording for other programs and for readers. */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/args.h"
#include "cli/doc.h"
#include "engine/base/outfile.h"
#include "replay/replay.h"
#include "tui/cast.h"

/* One line of help for each format. */
#define FORMAT_LINE(name, runs, view, at, help) "                          " #name ": " help "\n"
#define HELP_FORMATS                            EXPORT_FORMATS(FORMAT_LINE)

static const char usage[] =
    "usage: tabes export FILE [FILE] --to FORMAT [-o OUT]\n"
    "\n"
    "Writes a recording for other programs, for readers or for a paper. No model is needed.\n"
    "\n"
    "Arguments:\n"
    "  FILE                    trajectory file, '-' for standard input; html and cast take two\n"
    "\n"
    "Options:\n"
    "      --to FORMAT         one of\n" HELP_FORMATS
    "                          cast: the workbench playing one recording or two, for asciinema\n"
    "      --at N|end          html, svg: the state shown; 0 is the start, n is after step n\n"
    "                          (default: end for svg, 0 for html)\n"
    "      --color NAME        html, svg: plain (default), entropy, confidence, tis or order\n"
    "      --size WxH          cast: size of the screen (default 100x30)\n"
    "      --speed N           cast: states per second (default 1)\n"
    "  -o, --output OUT        write to a file (default: standard output)\n"
    "  -q, --quiet             no notes on standard error\n"
    "      --help              print this and exit\n";

/* A name that cannot be meant: a folder, and one of the recordings. */
static int check_output(const char *path, const cli_args *a, err *e) {
    struct stat out, in;
    if (!path || stat(path, &out)) return 0;
    if (S_ISDIR(out.st_mode)) return err_set(e, ERR_BAD_ARGUMENT, "--output: %s is a folder", path);
    for (int i = 0; i < a->n_operands; i++) {
        if (!stat(a->operands[i], &in) && in.st_dev == out.st_dev && in.st_ino == out.st_ino)
            return err_set(e, ERR_BAD_ARGUMENT, "--output: %s is the recording itself; name another file",
                           path);
    }
    return 0;
}

static int run_export(int argc, char **argv);

const command cmd_export = {.name = "export",
                            .summary = "a recording as JSON, CSV, a page, a figure or a summary",
                            .usage = usage,
                            .run = run_export};

enum { MAX_RUNS = 2 };
static const size_t EXPORT_MAX = (size_t)1 << 31;

/* What was asked for. */
typedef struct request {
    const char *to, *at, *color, *path, *size, *speed;
    const export_format *format; /* NULL: a cast */
    export_opts opts;
    cast_opts cast;
} request;

static const char *format_names(char *buf, size_t size) {
    size_t used = 0;
    buf[0] = '\0';
    for (const export_format *f = export_formats; f->name && used < size; f++) {
        used += (size_t)snprintf(buf + used, size - used, "%s, ", f->name);
    }
    if (used < size) snprintf(buf + used - 2, size - used + 2, " or cast");
    return buf;
}

/* -1 to go on, or the exit code after a message. */
static int read_cast(request *q, int n_files) {
    err e = {0};
    char end;
    int rc = 0;
    q->cast = (cast_opts){100, 30, 1};
    if (n_files < 1 || n_files > MAX_RUNS)
        return cli_usage_error(&cmd_export, "expected one or two FILE, got %d", n_files);
    if (q->at || q->color)
        return cli_usage_error(&cmd_export, "--%s is not used by cast", q->at ? "at" : "color");
    /* Four digits cannot overflow. NOLINTNEXTLINE(cert-err34-c) */
    if (q->size && (sscanf(q->size, "%4dx%4d%c", &q->cast.cols, &q->cast.rows, &end) != 2 ||
                    q->cast.cols < 80 || q->cast.rows < 24 || q->cast.cols > 1000 || q->cast.rows > 1000))
        return cli_usage_error(&cmd_export, "--size \"%s\", expected WxH from 80x24 to 1000x1000", q->size);
    if (q->speed) rc = cli_parse_real(q->speed, "--speed", 0.01, 100, &q->cast.states_per_second, &e);
    return rc ? cli_usage_error(&cmd_export, "%s", e.msg) : -1;
}

/* The same for the formats of replay.h. */
static int read_options(request *q, int n_files) {
    char names[100];
    err e = {0};
    format_names(names, sizeof names);
    if (!q->to) return cli_usage_error(&cmd_export, "--to is missing, expected %s", names);
    if (!strcmp(q->to, "cast")) return read_cast(q, n_files);
    if (q->size || q->speed)
        return cli_usage_error(&cmd_export, "--%s is for cast alone", q->size ? "size" : "speed");
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

static int make(const request *q, replay *const *files, int n, strbuf *text, err *e) {
    const trajectory *runs[MAX_RUNS];
    for (int i = 0; i < n; i++) runs[i] = &files[i]->traj;
    if (q->format) return export_write(q->format, runs, n, q->opts, text, e);
    const tui_opts o = {.replays = files, .n_replays = n};
    return tui_cast(&o, &q->cast, text, e);
}

/* JSON and CSV keep token texts exactly, also those that would steer the terminal they are looked at in. */
static int print_out(const strbuf *text) {
    strbuf clean;
    strbuf_init(&clean, SIZE_MAX / 4);
    if (isatty(STDOUT_FILENO)) text_clean(&clean, text->data, text->len, true);
    const strbuf *out = isatty(STDOUT_FILENO) ? &clean : text;
    fwrite(out->data, 1, out->len, stdout);
    cli_check_shown(&clean);
    strbuf_release(&clean);
    return cli_finish(EXIT_OK);
}

static int export_to(const request *q, replay *const *files, int n) {
    strbuf text;
    err e = {0};
    int rc;
    strbuf_init(&text, EXPORT_MAX);
    if (make(q, files, n, &text, &e)) {
        rc = cli_report(&e);
    } else if (q->path) {
        rc = outfile_write(q->path, &text, &e) ? cli_report(&e) : EXIT_OK;
    } else {
        rc = print_out(&text);
    }
    strbuf_release(&text);
    return rc;
}

static int load(const cli_args *a, replay **files, err *e) {
    for (int i = 0; i < a->n_operands; i++) {
        int rc = replay_load(&files[i], a->operands[i], e);
        if (rc) return rc;
        if (files[i]->truncated && !a->quiet) cli_note("%s: %s", files[i]->path, files[i]->note);
    }
    return 0;
}

static int run_export(int argc, char **argv) {
    request q = {0};
    const cli_extra extra[] = {{"to", 0, &q.to, NULL},
                               {"at", 0, &q.at, NULL},
                               {"color", 0, &q.color, NULL},
                               {"size", 0, &q.size, NULL},
                               {"speed", 0, &q.speed, NULL},
                               {"output", 'o', &q.path, NULL},
                               {0}};
    cli_args a = {0};
    err e = {0};
    replay *files[MAX_RUNS] = {0};
    int rc = cli_parse(&a, &cmd_export, CLI_QUIET | CLI_OPERANDS, extra, argc, argv);
    if (rc >= 0) return rc;
    rc = read_options(&q, a.n_operands);
    if (rc >= 0) return rc;
    bool bad = check_output(q.path, &a, &e) || load(&a, files, &e);
    rc = bad ? cli_report_input(&e) : export_to(&q, files, a.n_operands);
    for (int i = 0; i < MAX_RUNS; i++) replay_close(files[i]);
    return rc;
}
