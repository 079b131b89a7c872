/* cmd_eval.c - policies compared on a task: how often they are right and what they cost. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/eval_args.h"
#include "cli/eval_print.h"
#include "engine/base/clock.h"
#include "engine/base/mem.h"

static int eval_main(int argc, char **argv);

const command cmd_eval = {
    .name = "eval",
    .summary = "compare policies on a task: accuracy, intervals, cost",
    .usage =
        "usage: tabes eval [-m MODEL] --task NAME [--policies A,B,...|all] [OPTIONS]\n"
        "\n"
        "Decodes every example under every policy, length, number of tokens per step and seed that is "
        "listed, "
        "and prints\n"
        "a row for each combination: how many answers are right (pass@1), a 95 % Wilson interval, forwards "
        "(NFE) "
        "and backward\n"
        "rows per example, time, and an exact McNemar test against the first policy of as many tokens per "
        "step.\n"
        "Examples are decoded side by side, one thread each; results do not depend on how many. Under mpirun "
        "(Open MPI)\n"
        "the examples are shared out among the processes.\n"
        "\n"
        "Tasks: sudoku (generated 9x9, or --data with 4x4 or 9x9), countdown (generated, or --data), story "
        "(bundled),\n"
        "text (from nothing, or continuations of --data), and with --data the public files of gsm8k, "
        "math500,\n"
        "humaneval and mbpp. The code tasks write --samples for their harnesses; nothing is executed.\n"
        "\n" HELP_MODEL "      --template NAME     chat template, as in run\n"
        "      --system TEXT       system message of the chat template\n"
        "      --raw               prompts as they are, without a template\n"
        "      --task NAME         sudoku, countdown, story, gsm8k, math500, humaneval, mbpp or text\n"
        "      --data FILE         examples in the layout of the public file\n"
        "  -n, --examples N        at most so many examples (default: all of a file, 50 generated ones)\n"
        "      --clues N           clues of a generated Sudoku, 24 to 80 (default 34)\n"
        "      --policies A,B,...  policies, or all (default confidence,boe); see `tabes policies`\n"
        "      --lengths A,B,...   masks appended to a prompt without gaps (default: the task's)\n"
        "      --tokens-per-step A,B,...\n"
        "                          tokens written at each step (default: --budget)\n"
        "      --seeds A,B,...     several seeds\n" HELP_SEED
        "      --protocol NAME     a setting of the paper: table2 (2 tokens per step), table5 (1), figure4 "
        "(1 to 16)\n"
        "      --ablation          the rows of the paper's Table 5 in place of policies\n"
        "      --match-nfe F       each policy writes as few tokens per step as keep its forwards within F\n"
        "      --charge-backward   there, count 2 * rows / N more per step for backward rows\n"
        "      --nfe-accounting X  ours, or paper: a BoE step counts 2\n"
        "      --results FILE      append every result; a run that was cut short goes on from there\n"
        "      --jobs N            examples decoded at the same time (default: one per core; on a GPU 4, "
        "fewer\n"
        "                          where its memory is short)\n"
        "      --samples FILE      write the texts for the task's public harness; for text, as MAUVE reads "
        "them\n"
        "      --plot FILE         write accuracy against NFE as SVG\n"
        "      --chart             draw it here in braille, too (default in a terminal)\n"
        "      --judge-model MODEL text: perplexity under a second model\n"
        "      --elbo-draws N      text: draws per perplexity (default 32)\n" HELP_JSON
        "      --csv               print comma-separated values\n" HELP_QUIET,
    .policy_flags = true,
    .run = eval_main,
};

/* One evaluation from options to table. */
typedef struct evaluation {
    eval_args a;
    model m, judge;
    const ranks *ranks;
    eval_plan plan;
    eval_prompts prompts;
    outcome *outcomes;
    results_file *file;
    int found, jobs;
    double started;
} evaluation;

/* Of several processes only the first speaks. */
static bool is_first(const evaluation *v) {
    return !v->ranks || v->ranks->rank == 0;
}

/* Progress ------------------------------------------------------------- */

static void show_progress(void *ctx, int done, int total) {
    const evaluation *v = ctx;
    double seconds = clock_now() - v->started, rate = seconds > 0 ? done / seconds : 0;
    int left = rate > 0 ? (int)((total - done) / rate + 0.5) : 0;
    fprintf(stderr, "\r%d/%d decodes  %.1f/s  ETA %d:%02d:%02d\033[K", v->found + done, v->found + total,
            rate, left / 3600, left / 60 % 60, left % 60);
    if (done == total) fputs("\r\033[K", stderr);
}

static bool shows_progress(const evaluation *v) {
    return !v->a.args.quiet && is_first(v) && isatty(STDERR_FILENO);
}

/* Preparing ------------------------------------------------------------ */

static int open_judge(evaluation *v, err *e) {
    if (!v->a.judge_model) return 0;
    cli_args judge = {.model = v->a.judge_model,
                      .device = v->a.args.device,
                      .precision = v->a.args.precision,
                      .threads = v->a.args.threads,
                      .quiet = true};
    int rc = cli_open_model(&judge, &v->judge, e);
    if (!rc && !v->judge.tok) rc = err_set(e, ERR_UNSUPPORTED, "%s has no tokenizer", v->a.judge_model);
    return rc ? err_prefix(e, "--judge-model") : 0;
}

static int find_examples(evaluation *v, err *e) {
    char path[4096];
    task_opts what = v->a.what;
    if (!what.data && v->a.task->bundled) {
        if (cli_bundled_path("models", v->a.task->bundled, path, sizeof path))
            return err_set(e, ERR_NOT_FOUND, "%s is not installed; give --data", v->a.task->bundled);
        what.data = path;
    }
    v->plan.task = v->a.task;
    return task_examples(v->a.task, &what, &v->plan.examples, e);
}

static int make_plan(evaluation *v, err *e) {
    const model *judge = v->judge.d ? &v->judge : NULL;
    if (!v->m.tok)
        return err_set(e, ERR_UNSUPPORTED, "%s has no tokenizer; give one with --tokenizer DIR",
                       denoiser_get_info(v->m.d)->name);
    v->plan.costs = v->a.costs;
    v->plan.elbo_draws = v->a.elbo_draws;
    int length = 0, rc = find_examples(v, e);
    if (!rc) rc = plan_notation(&v->plan, &v->m, &length, e);
    if (!rc && !v->a.wish.n_lengths) v->a.wish.lengths[v->a.wish.n_lengths++] = length;
    if (!rc) rc = eval_args_policies(&v->a, &v->m, e);
    if (!rc) rc = plan_configs(&v->plan, &v->a.wish, denoiser_get_info(v->m.d), e);
    if (!rc) rc = plan_identity(&v->plan, &v->m, judge, v->a.args.raw, e);
    if (!rc) rc = prompts_make(&v->prompts, &v->plan, &v->m, e);
    if (rc) return rc;
    v->outcomes = mem_new((size_t)plan_items(&v->plan), sizeof *v->outcomes);
    return v->outcomes ? 0 : err_set(e, ERR_NO_MEMORY, "out of memory for %d outcomes", plan_items(&v->plan));
}

static int open_results(evaluation *v, err *e) {
    bool torn = false;
    if (!v->a.results || !is_first(v)) return 0;
    int rc = results_open(&v->file, v->a.results, &v->plan, v->outcomes, &v->found, &torn, e);
    if (rc || v->a.args.quiet) return rc;
    if (torn) cli_note("note: %s: a last line that was cut short is left out", v->a.results);
    if (v->found) cli_note("%s has %d of %d results already", v->a.results, v->found, plan_items(&v->plan));
    return 0;
}

static void note_plan(const evaluation *v) {
    if (v->a.args.quiet || !is_first(v)) return;
    if (!v->plan.task->check && !v->plan.task->text && !v->a.samples)
        cli_note("note: %s is not judged here; --samples FILE writes what its harness reads",
                 v->plan.task->name);
    if (v->a.args.all_policies)
        cli_note("%d decodes: %d examples under %d configurations, of which those that look ahead or "
                 "go backward "
                 "through all rows take many times as long as a plain one",
                 plan_items(&v->plan), v->plan.examples.n, v->plan.n_configs);
    if (!v->a.ablation) return;
    const param_set *boe = &v->a.wish.policies[1].params;
    if (!(param_real(boe, "lambda") > 0))
        fputs("tabes: note: lambda is 0, so the row without anti-collapse equals boe; --lambda sets it\n",
              stderr);
}

static int longest_canvas(const evaluation *v) {
    int prompt = 0, length = 0;
    for (int i = 0; i < v->plan.examples.n; i++) prompt = v->prompts.n[i] > prompt ? v->prompts.n[i] : prompt;
    for (int i = 0; i < v->plan.n_configs; i++)
        length = v->plan.configs[i].length > length ? v->plan.configs[i].length : length;
    return prompt + length;
}

/* On a GPU each worker has a pass of its own, and beside it a workspace of products, scratch and copies. */
static size_t device_room(const model *m, int rows) {
    bool there = m->d && denoiser_get_info(m->d)->overlaps;
    return there ? ((size_t)128 << 20) + denoiser_needs(m->d, rows).pass : 0;
}

/* As many as the GPU's free memory has room for. */
static int device_jobs(const evaluation *v) {
    enum { MOST = 4 };
    int rows = longest_canvas(v), items = plan_items(&v->plan), most = items < MOST ? items : MOST;
    size_t each = device_room(&v->m, rows) + device_room(&v->judge, rows);
    k_memory memory;
    denoiser_memory(v->m.d, &memory);
    if (memory.free_bytes / each >= (size_t)most) return most;
    int jobs = memory.free_bytes < 2 * each ? 1 : (int)(memory.free_bytes / each);
    if (!v->a.args.quiet && is_first(v))
        cli_note("note: memory of %s has room for %d of %d examples at the same time",
                 denoiser_get_info(v->m.d)->device, jobs, most);
    return jobs;
}

/* One thread for each example, so that how many run at a time changes nothing. */
static void choose_jobs(evaluation *v) {
    int cores = kernels_threads() / (v->ranks ? v->ranks->local : 1);
    v->jobs = v->a.jobs ? v->a.jobs : cores > 0 ? cores : 1;
    if (!v->a.jobs && denoiser_get_info(v->m.d)->overlaps) v->jobs = device_jobs(v);
    if (v->jobs > EVAL_MAX_JOBS) v->jobs = EVAL_MAX_JOBS;
    kernels_set_threads(1);
}

/* Results -------------------------------------------------------------- */

static int write_plot(const evaluation *v, const summary *s, err *e) {
    strbuf svg;
    char title[200];
    snprintf(title, sizeof title, "%s, %s: accuracy against NFE", v->plan.task->name,
             denoiser_get_info(v->m.d)->name);
    strbuf_init(&svg, SIZE_MAX / 4);
    plot_svg(s, title, &svg);
    int rc = eval_write_file(v->a.plot, &svg, e);
    strbuf_release(&svg);
    return rc;
}

static void print_chart(const summary *s) {
    strbuf text;
    strbuf_init(&text, SIZE_MAX / 4);
    plot_text(s, 64, 17, &text);
    if (text.len) printf("\naccuracy\n%s", text.data);
    cli_check_shown(&text);
    strbuf_release(&text);
}

static int print_summary(const evaluation *v, const summary *s, err *e) {
    int rc = v->a.plot ? write_plot(v, s, e) : 0;
    if (!rc && v->a.samples) rc = eval_write_samples(v->a.samples, &v->plan, v->outcomes, e);
    if (rc) return rc;
    if (v->a.json) return eval_print_json(&v->plan, &v->m, s, e);
    if (v->a.csv) {
        eval_print_csv(&v->plan, s);
        return 0;
    }
    eval_print_table(&v->plan, s);
    if (v->a.chart || isatty(STDOUT_FILENO)) print_chart(s);
    return 0;
}

static int print_results(const evaluation *v, err *e) {
    summary s;
    int rc = summary_make(&s, &v->plan, v->outcomes, e);
    if (!rc) rc = print_summary(v, &s, e);
    summary_release(&s);
    return rc;
}

static int report_stop(const evaluation *v, err *e) {
    if (shows_progress(v)) fputs("\r\033[K", stderr);
    int done = 0;
    for (int i = 0; i < plan_items(&v->plan); i++) done += v->outcomes[i].known;
    if (e->code == ERR_CANCELLED && v->a.results)
        err_set(e, ERR_CANCELLED,
                "interrupted; %s holds %d of %d results, the same command goes on from there", v->a.results,
                done, plan_items(&v->plan));
    else if (e->code == ERR_CANCELLED)
        err_set(e, ERR_CANCELLED, "interrupted after %d of %d results", done, plan_items(&v->plan));
    return cli_report(e);
}

static int run_prepared(evaluation *v, err *e) {
    note_plan(v);
    choose_jobs(v);
    v->started = clock_now();
    const eval_run r = {.plan = &v->plan,
                        .prompts = &v->prompts,
                        .m = &v->m,
                        .judge = v->judge.d ? &v->judge : NULL,
                        .jobs = v->jobs,
                        .file = v->file,
                        .ranks = v->ranks,
                        .cancel = &cli_cancelled,
                        .progress = shows_progress(v) ? show_progress : NULL,
                        .ctx = v};
    int rc = eval_all(&r, v->outcomes, e);
    if (!is_first(v)) return rc ? cli_report(e) : EXIT_OK;
    if (rc) return report_stop(v, e);
    return print_results(v, e) ? cli_report(e) : EXIT_OK;
}

/* Better told now than after the work. */
static int check_writable(const char *path, err *e) {
    FILE *f = path ? fopen(path, "a") : NULL;
    if (path && !f) return err_set(e, ERR_IO, "%s: %s", path, strerror(errno));
    return f && fclose(f) ? err_set(e, ERR_IO, "%s: %s", path, strerror(errno)) : 0;
}

static int prepare(evaluation *v, err *e) {
    int rc = is_first(v) ? check_writable(v->a.plot, e) : 0;
    if (!rc) rc = cli_open_model(&v->a.args, &v->m, e);
    if (!rc) rc = open_judge(v, e);
    if (!rc) cli_catch_signals();
    if (!rc) rc = make_plan(v, e);
    return rc ? rc : open_results(v, e);
}

static void release(evaluation *v) {
    for (int i = 0; v->outcomes && i < plan_items(&v->plan); i++) outcome_release(&v->outcomes[i]);
    free(v->outcomes);
    results_close(v->file);
    prompts_release(&v->prompts, &v->plan);
    plan_release(&v->plan);
    eval_args_release(&v->a);
    if (v->judge.d) model_close(&v->judge);
    if (v->m.d) model_close(&v->m);
}

static int eval_main(int argc, char **argv) {
    evaluation v = {0};
    err e = {0};
    int code = eval_args_parse(&v.a, &cmd_eval, argc, argv);
    if (code >= 0) return code;
    if (ranks_open(&v.ranks, &e)) return cli_report(&e);
    if (v.ranks) {
        kernels_share_memory(v.ranks->local);
        kernels_set_turn(v.ranks->local_rank);
    }
    if (!is_first(&v)) v.a.args.quiet = true;
    code = prepare(&v, &e) ? cli_report_input(&e) : run_prepared(&v, &e);
    release(&v);
    if (!v.ranks) return code;
    /* Whoever fails before the work is handed out would leave the others waiting. */
    if (code) v.ranks->abort(code);
    v.ranks->close();
    return code;
}
