/* cmd_verify.c - `tabes verify FILE -m MODEL`: run a recording again and name the first difference. */
#include <string.h>

#include "cli/args.h"
#include "cli/doc.h"
#include "replay/replay.h"

static const char usage[] =
    "usage: tabes verify FILE [-m MODEL] [OPTIONS]\n"
    "\n"
    "Runs a recording again on its model and names the first difference. Tokens and their\n"
    "order must be equal. Numbers may differ by the tolerance, relative to the largest of\n"
    "their kind in the step, so that another processor or thread count passes; a recording\n"
    "of another device or precision may need a larger one.\n"
    "The largest difference is that of the whole run, unless a choice (position or token)\n"
    "changed: that ends it.\n"
    "Exit code 0 when the run is the same, 1 when it differs.\n"
    "\n"
    "Arguments:\n"
    "  FILE                    trajectory file, '-' for standard input\n"
    "\n"
    "Options:\n"
    "  -m, --model MODEL       checkpoint directory or bundled name (default: the bundled\n"
    "                          model of the recording's name, if there is one)\n"
    "      --tolerance X       relative tolerance of numbers, 0 to 1 (default 0.001)\n"
    "      --exact             compare every digit of every number but the timings\n"
    "      --threads N         threads of the kernels (default: all cores, or with --exact\n"
    "                          as many as recorded)\n" HELP_DEVICE
    "      --json              print one JSON object\n"
    "  -q, --quiet             no notes on standard error\n"
    "      --help              print this and exit\n";

static int run_verify(int argc, char **argv);

const command cmd_verify = {.name = "verify",
                            .summary = "re-run a recording and name the first difference",
                            .usage = usage,
                            .run = run_verify};

/* How far apart numbers are, and whether that mattered. */
static void print_distance(const verify_report *rep) {
    if (rep->choice_changed)
        printf("a choice changed in step %d", rep->steps_checked - 1);
    else
        printf("no choice changed in %d step%s", rep->steps_checked, rep->steps_checked == 1 ? "" : "s");
    printf(", largest relative difference %.2g\n", rep->max_rel);
}

static void print_text(const verify_report *rep, bool truncated, bool exact) {
    if (!rep->same) {
        cli_print("differs: %s\n", rep->where);
        print_distance(rep);
    } else {
        printf("same: %d step%s%s, ", rep->steps_checked, rep->steps_checked == 1 ? "" : "s",
               truncated ? " of a truncated file" : "");
        printf(exact ? "every digit equal\n" : "largest relative difference %.2g\n", rep->max_rel);
    }
}

/* Digits may well differ between devices: then the reader has to know which two were compared. */
static void print_devices(const traj_header *h, const denoiser_info *now) {
    if (!strcmp(h->device, now->device) && !strcmp(h->precision, now->precision)) return;
    cli_print("recorded on %s in %s, run again on %s in %s\n", h->device[0] ? h->device : "an unknown device",
              h->precision[0] ? h->precision : "unknown precision", now->device, now->precision);
}

static void doc_place(doc *j, const char *key, const char *device, const char *precision) {
    doc_object(j, key);
    doc_string(j, "device", device);
    doc_string(j, "precision", precision);
    doc_end(j);
}

static int print_json(const verify_report *rep, const replay *r, const denoiser_info *now, err *e) {
    doc j;
    doc_init(&j);
    doc_object(&j, NULL);
    doc_bool(&j, "same", rep->same);
    doc_int(&j, "steps", r->traj.n_records);
    doc_int(&j, "steps_checked", rep->steps_checked);
    doc_real(&j, "max_relative_difference", rep->max_rel);
    doc_bool(&j, "choice_changed", rep->choice_changed);
    if (rep->same) {
        doc_null(&j, "difference");
    } else {
        doc_string(&j, "difference", rep->where);
    }
    doc_bool(&j, "fingerprint_equal", strcmp(now->fingerprint, r->traj.head.fingerprint) == 0);
    doc_bool(&j, "truncated", r->truncated);
    doc_place(&j, "recorded_on", r->traj.head.device, r->traj.head.precision);
    doc_place(&j, "run_on", now->device, now->precision);
    doc_end(&j);
    return doc_print(&j, e);
}

/* Without --model: the bundled model that carries the recording's name. */
static bool default_model(cli_args *a, const char *name) {
    char path[4096];
    if (!name[0] || strchr(name, '/') || name[0] == '.' ||
        cli_bundled_path("models", name, path, sizeof path))
        return false;
    a->model = name;
    return true;
}

static int verify(cli_args *a, const replay *r, double tolerance, bool exact) {
    model m;
    err e = {0};
    verify_report rep;
    const traj_header *h = &r->traj.head;
    if (exact && !a->threads && h->threads > 0 && h->threads <= 1024) a->threads = h->threads;
    if (cli_open_model(a, &m, &e)) return cli_report_input(&e);
    const denoiser_info *now = denoiser_get_info(m.d);
    int rc = replay_verify(r, &m, tolerance, exact, &rep, &e);
    if (!rc && !a->quiet && strcmp(now->fingerprint, h->fingerprint)) {
        cli_note("%s: fingerprint differs: recorded with %s, this model is %s", r->path, h->fingerprint,
                 now->fingerprint);
    }
    if (!rc && a->json) {
        rc = print_json(&rep, r, now, &e);
    } else if (!rc) {
        print_text(&rep, r->truncated, exact);
        print_devices(h, now);
    }
    model_close(&m); /* frees what `now` points to */
    if (rc) return cli_report(&e);
    return cli_finish(rep.same ? EXIT_OK : EXIT_FAILED);
}

static int run_verify(int argc, char **argv) {
    const char *tolerance_text = NULL;
    bool exact = false;
    double tolerance = VERIFY_TOLERANCE;
    const cli_extra extra[] = {{"tolerance", 0, &tolerance_text, NULL}, {"exact", 0, NULL, &exact}, {0}};
    cli_args a = {0};
    err e = {0};
    replay *r;
    int rc = cli_parse(&a, &cmd_verify, CLI_MODEL | CLI_JSON | CLI_QUIET | CLI_OPERANDS, extra, argc, argv);
    if (rc >= 0) return rc;
    if (a.n_operands != 1) return cli_usage_error(&cmd_verify, "expected one FILE, got %d", a.n_operands);
    if (tolerance_text && cli_parse_real(tolerance_text, "--tolerance", 0, 1, &tolerance, &e))
        return cli_report(&e);
    if (replay_load_to_verify(&r, a.operands[0], &e)) return cli_report_input(&e);
    if (r->truncated) cli_note("%s: %s", r->path, r->note);
    if (!a.model && !default_model(&a, r->traj.head.model_name)) {
        rc =
            cli_usage_error(&cmd_verify, "recorded with \"%s\", which is not bundled: name the model with -m",
                            r->traj.head.model_name);
    } else {
        rc = verify(&a, r, tolerance, exact);
    }
    replay_close(r);
    return rc;
}
