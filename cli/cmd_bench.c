/* cmd_bench.c - how fast a model decodes on this machine, and where the time goes. */
#include "bench/bench.h"

#include <unistd.h>

#include "cli/args.h"
#include "cli/doc.h"

static int bench_main(int argc, char **argv);

#define MOST_SECONDS 3600

const command cmd_bench = {
    .name = "bench",
    .summary = "how fast a model decodes here: phases of a step against ceilings, greedy and BoE, memory",
    .usage =
        "usage: tabes bench [-m MODEL | MODEL] [--seconds S] [--json]\n"
        "\n"
        "Measures, in one run: what the machine can do (matrix products, memory bandwidth); the phases of "
        "one "
        "BoE step\n"
        "against that; steps of greedy (confidence) and BoE decodes at several rho and lengths N, half of N "
        "a random\n"
        "prompt and half masks; whole decodes, extrapolated from those steps where they would take too long; "
        "memory.\n"
        "Other programs that compute at the same time make the figures worse.\n"
        "\n" HELP_MODEL
        "      --seconds S         time to spend (default 30); a large model takes longer, since a few steps "
        "are\n"
        "                          always measured\n" HELP_JSON HELP_QUIET,
    .run = bench_main,
};

/* ---- JSON ---- */

static void doc_rho(doc *j, double rho) {
    doc_string(j, "policy", rho > 0 ? "boe" : "confidence");
    if (rho > 0) {
        doc_real(j, "rho", rho);
    } else {
        doc_null(j, "rho");
    }
}

static void doc_phases(doc *j, const bench_result *r) {
    doc_object(j, "phases_of");
    doc_rho(j, r->phases_rho);
    doc_int(j, "n", r->phases_n);
    doc_int(j, "masked", r->phases_masked);
    doc_real(j, "seconds", r->phases_seconds);
    doc_int(j, "repeats", r->phases_repeats);
    doc_bool(j, "serialised", r->serialised);
    doc_end(j);
    doc_array(j, "phases");
    for (int i = 0; i < N_PHASES; i++) {
        const bench_phase *p = &r->phases[i];
        double s = p->time.seconds > 0 ? p->time.seconds : 1;
        doc_object(j, NULL);
        doc_string(j, "phase", p->name);
        doc_real(j, "seconds", p->time.seconds);
        doc_real(j, "share", p->share);
        doc_int(j, "calls", p->time.calls);
        doc_real(j, "gflops", p->time.flops / s / 1e9);
        doc_real(j, "gbps", p->time.bytes / s / 1e9);
        doc_real(j, "of_ceiling", p->of_ceiling);
        doc_end(j);
    }
    doc_end(j);
}

static void doc_steps(doc *j, const bench_result *r) {
    doc_array(j, "steps");
    for (int i = 0; i < r->n_steps; i++) {
        const bench_step *s = &r->steps[i];
        doc_object(j, NULL);
        doc_rho(j, s->rho);
        doc_int(j, "n", s->n);
        doc_int(j, "masked", s->masked);
        doc_real(j, "ms", s->ms);
        doc_int(j, "repeats", s->repeats);
        doc_end(j);
    }
    doc_end(j);
}

static void doc_decodes(doc *j, const bench_result *r, const char *key, bool boe) {
    doc_array(j, key);
    for (int i = 0; i < r->n_decodes; i++) {
        const bench_decode *d = &r->decodes[i];
        if ((d->rho > 0) != boe) continue;
        doc_object(j, NULL);
        if (boe) doc_real(j, "rho", d->rho);
        doc_int(j, "n", d->n);
        if (boe) doc_real(j, "ratio_to_greedy", d->ratio);
        doc_real(j, "decode_seconds", d->seconds);
        doc_bool(j, "extrapolated", d->extrapolated);
        doc_int(j, "sampled_steps", d->sampled_steps);
        doc_int(j, "steps", d->steps);
        doc_end(j);
    }
    doc_end(j);
}

static void doc_memory(doc *j, const bench_result *r) {
    doc_object(j, "memory");
    doc_uint(j, "resident_bytes", r->resident);
    doc_uint(j, "peak_bytes", r->peak);
    doc_uint(j, "weight_bytes", r->weights);
    doc_uint(j, "session_bytes", r->session);
    doc_int(j, "session_tokens", r->rows);
    if (r->device) {
        doc_uint(j, "device_bytes", r->device);
    } else {
        doc_null(j, "device_bytes");
    }
    doc_end(j);
}

static int print_json(const model *m, const bench_result *r, err *e) {
    const denoiser_info *i = denoiser_get_info(m->d);
    doc j;
    doc_init(&j);
    doc_object(&j, NULL);
    doc_string(&j, "model", i->name);
    doc_string(&j, "architecture", i->arch);
    doc_int(&j, "parameters", i->n_params);
    doc_string(&j, "dtype", i->dtype);
    doc_string(&j, "device", i->device);
    doc_string(&j, "device_title", i->device_title);
    doc_string(&j, "precision", i->precision);
    doc_int(&j, "threads", kernels_threads());
    doc_real(&j, "seconds", r->seconds);
    doc_object(&j, "ceilings");
    doc_real(&j, "gflops", r->top.flops / 1e9);
    doc_int(&j, "product_size", r->top.gemm);
    doc_real(&j, "gbps", r->top.bytes / 1e9);
    doc_real(&j, "copy_gbps", r->top.copy / 1e9);
    doc_real(&j, "read_gbps", r->top.read / 1e9);
    doc_end(&j);
    doc_phases(&j, r);
    doc_steps(&j, r);
    doc_decodes(&j, r, "greedy", false);
    doc_decodes(&j, r, "boe", true);
    doc_memory(&j, r);
    doc_end(&j);
    return doc_print(&j, e);
}

/* ---- the table ---- */

/* Three digits or more: "0.0123", "1.23", "123", "1234". */
static void print_figure(double x, int width) {
    int digits = x >= 99.95 ? 0 : x >= 9.995 ? 1 : x >= 0.9995 ? 2 : x >= 0.09995 ? 3 : 4;
    printf("%*.*f", width, digits, x);
}

static void print_figure_or_dash(double x, int width) {
    if (x > 0) {
        print_figure(x, width);
    } else {
        printf("%*s", width, "-");
    }
}

static void print_head(const model *m, const bench_result *r) {
    const denoiser_info *i = denoiser_get_info(m->d);
    cli_print("%s (%s, %.4g M parameters, %s)\n", i->name, i->arch, (double)i->n_params / 1e6, i->dtype);
    printf("%s (%s)\nproducts in %s", i->device, i->device_title, i->precision);
    if (!i->overlaps) printf(", %d thread%s", kernels_threads(), kernels_threads() == 1 ? "" : "s");
    putchar('\n');
    printf("ceilings: ");
    print_figure(r->top.flops / 1e9, 1);
    printf(" GFLOP/s (product of size %d), ", r->top.gemm);
    print_figure(r->top.bytes / 1e9, 1);
    puts(" GB/s");
}

static void print_phases(const bench_result *r) {
    printf("\nOne BoE step at rho %g, N = %d, %d masks: ", r->phases_rho, r->phases_n, r->phases_masked);
    print_figure(r->phases_seconds * 1e3, 1);
    printf(" ms (median of %d)\n", r->phases_repeats);
    if (r->serialised) puts("Operations were waited for one by one, which a step does not do.");
    printf("%-18s %9s %7s %10s %9s %11s\n", "phase", "ms", "share", "GFLOP/s", "GB/s", "of ceiling");
    for (int i = 0; i < N_PHASES; i++) {
        const bench_phase *p = &r->phases[i];
        double s = p->time.seconds;
        if (s <= 0) continue;
        printf("%-18s ", p->name);
        print_figure(s * 1e3, 9);
        printf(" %6.1f%% ", 100 * p->share);
        print_figure_or_dash(p->time.flops / s / 1e9, 10);
        putchar(' ');
        print_figure_or_dash(p->time.bytes / s / 1e9, 9);
        printf(" %10.0f%%\n", 100 * p->of_ceiling);
    }
}

/* The steps of decode d, which are neighbours; its row, or with `heading` the one above it. */
static void print_decode(const bench_result *r, const bench_decode *d, bool heading) {
    int columns = 0;
    for (int i = 0; i < r->n_steps; i++) {
        const bench_step *s = &r->steps[i];
        bool same = s->rho <= d->rho && s->rho >= d->rho;
        if (s->n != d->n || !same) continue;
        putchar(' ');
        if (heading) {
            printf("%8d", s->masked);
        } else {
            print_figure(s->ms, 8);
        }
        columns++;
    }
    printf("%*s", 9 * (BENCH_POINTS - columns), "");
}

static void print_decodes(const bench_result *r) {
    int n = 0;
    for (int i = 0; i < r->n_decodes; i++) {
        const bench_decode *d = &r->decodes[i];
        char name[32] = "greedy";
        if (d->n != n) {
            n = d->n;
            printf("\nN = %-8d  ms per step with so many masks left\n", n);
            printf("%-12s", "policy");
            print_decode(r, d, true);
            printf(" %10s %7s\n", "decode, s", "ratio");
        }
        if (d->rho > 0) snprintf(name, sizeof name, "boe %g", d->rho);
        printf("%-12s", name);
        print_decode(r, d, false);
        putchar(' ');
        print_figure(d->seconds, 10);
        printf(" %7.3f\n", d->ratio);
        if (i + 1 < r->n_decodes && r->decodes[i + 1].n == n) continue;
        printf("A decode is %d steps of one token; ", d->steps);
        if (d->extrapolated) {
            printf("extrapolated from %d of them.\n", d->sampled_steps);
        } else {
            puts("all of them were run.");
        }
    }
}

static void print_bytes(size_t bytes) {
    bool large = bytes >= 999500000;
    print_figure((double)bytes / (large ? 1e9 : 1e6), 1);
    fputs(large ? " GB" : " MB", stdout);
}

static void print_memory(const bench_result *r) {
    fputs("\nmemory: ", stdout);
    print_bytes(r->resident);
    fputs(" resident (", stdout);
    print_bytes(r->peak);
    fputs(" at most)", stdout);
    if (r->device) {
        fputs(", on the device ", stdout);
        print_bytes(r->device);
    }
    fputs("\nweights ", stdout);
    print_bytes(r->weights);
    printf(", session of %d tokens ", r->rows);
    print_bytes(r->session);
    putchar('\n');
}

static void print_text(const model *m, const bench_result *r) {
    print_head(m, r);
    print_phases(r);
    print_decodes(r);
    print_memory(r);
}

/* ---- the command ---- */

static int run(cli_args *a, double seconds) {
    err e = {0};
    model m;
    if (cli_open_model(a, &m, &e)) return cli_report_input(&e);
    cli_catch_signals();
    if (!a->quiet && isatty(STDERR_FILENO)) fprintf(stderr, "tabes: measuring for about %g s\n", seconds);
    bench_result r;
    int rc = bench_run(&r, &m, &(bench_opts){seconds, &cli_cancelled}, &e);
    if (!rc && a->json) rc = print_json(&m, &r, &e);
    if (!rc && !a->json) print_text(&m, &r);
    model_close(&m);
    return rc ? cli_report(&e) : EXIT_OK;
}

static int bench_main(int argc, char **argv) {
    const char *text = NULL;
    double seconds = 30;
    const cli_extra extra[] = {{"seconds", 0, &text, NULL}, {0}};
    cli_args a = {0};
    int rc = cli_parse(&a, &cmd_bench, CLI_MODEL | CLI_JSON | CLI_QUIET | CLI_OPERANDS, extra, argc, argv);
    if (rc >= 0) return rc;
    err e = {0};
    if (a.n_operands > 1 || (a.n_operands && a.model)) return cli_usage_error(&cmd_bench, "name one model");
    if (a.n_operands) a.model = a.operands[0];
    if (text && cli_parse_real(text, "--seconds", 0.1, MOST_SECONDS, &seconds, &e))
        return cli_usage_error(&cmd_bench, "%s", e.msg);
    return run(&a, seconds);
}
