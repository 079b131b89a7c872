/* cmd_export.c - `tabes export FILE --to json|csv`: a recording for other programs. */
#include <errno.h>
#include <string.h>

#include "cli/args.h"
#include "replay/replay.h"

static const char usage[] = "usage: tabes export FILE --to FORMAT [-o OUT]\n"
                            "\n"
                            "Writes a recording for other programs. No model is needed.\n"
                            "\n"
                            "Arguments:\n"
                            "  FILE                    trajectory file, '-' for standard input\n"
                            "\n"
                            "Options:\n"
                            "      --to FORMAT         json: one document with header, steps and closing;\n"
                            "                          csv: one row for each step and masked position\n"
                            "  -o, --output OUT        write to a file (default: standard output)\n"
                            "  -q, --quiet             no notes on standard error\n"
                            "      --help              print this and exit\n";

static int run_export(int argc, char **argv);

const command cmd_export = {
    .name = "export", .summary = "a recording as JSON or CSV", .usage = usage, .run = run_export};

static const struct {
    const char *name;
    int (*write)(const trajectory *t, strbuf *out, err *e);
} formats[] = {{"json", replay_export_json}, {"csv", replay_export_csv}};
enum { N_FORMATS = sizeof formats / sizeof *formats };
static const size_t EXPORT_MAX = (size_t)1 << 31;

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

static int export_to(const replay *r, int format, const char *path) {
    strbuf text;
    err e = {0};
    int rc;
    strbuf_init(&text, EXPORT_MAX);
    if (formats[format].write(&r->traj, &text, &e)) {
        rc = cli_report(&e);
    } else if (path) {
        rc = write_out(&text, path);
    } else {
        fwrite(text.data, 1, text.len, stdout);
        rc = cli_finish(EXIT_OK);
    }
    strbuf_release(&text);
    return rc;
}

static int run_export(int argc, char **argv) {
    const char *to = NULL, *path = NULL;
    const cli_extra extra[] = {{"to", 0, &to, NULL}, {"output", 'o', &path, NULL}, {0}};
    cli_args a = {0};
    err e = {0};
    replay *r;
    int format = 0, rc = cli_parse(&a, &cmd_export, CLI_QUIET | CLI_OPERANDS, extra, argc, argv);
    if (rc >= 0) return rc;
    if (a.n_operands != 1) return cli_usage_error(&cmd_export, "expected one FILE, got %d", a.n_operands);
    if (!to) return cli_usage_error(&cmd_export, "--to is missing, expected json or csv");
    while (format < N_FORMATS && strcmp(formats[format].name, to) != 0) format++;
    if (format == N_FORMATS) return cli_usage_error(&cmd_export, "--to \"%s\", expected json or csv", to);
    if (replay_load(&r, a.operands[0], &e)) return cli_report_input(&e);
    if (r->truncated) fprintf(stderr, "tabes: %s: %s\n", r->path, r->note);
    rc = export_to(r, format, path);
    replay_close(r);
    return rc;
}
