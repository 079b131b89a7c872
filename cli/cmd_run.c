/* cmd_run.c - a whole decode without a screen. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/args.h"
#include "cli/doc.h"
#include "engine/base/clock.h"
#include "replay/replay.h"

static int run_main(int argc, char **argv);

const command cmd_run = {
    .name = "run",
    .summary = "decode a prompt and print the text",
    .usage =
        "usage: tabes run [-m MODEL] (-p TEXT | --prompt-file FILE | --prompt-tokens IDS) [OPTIONS]\n"
        "\n"
        "Prints what was generated: the new text when the prompt has no blanks, the whole text when it "
        "has. Special\n"
        "tokens are left out and the text ends before the first end of text, or of a turn, in the generated "
        "part, and\n"
        "before what --until names. A model without a tokenizer prints ids. Progress goes to standard error "
        "when that is a terminal.\n"
        "Interrupting with Ctrl-C stops after the step in flight; a recording then holds the finished "
        "steps.\n"
        "\n" HELP_MODEL HELP_PROMPT HELP_POLICY "                          (default boe)\n" HELP_SEED
        "      --record FILE       write the trajectory (JSON Lines)\n"
        "      --until TEXT        end the decode once TEXT stands in the generated part with no mask before "
        "it; can be\n"
        "                          given several times\n"
        "      --until-eos         likewise for the end of text or turn\n"
        "      --tokens-out        print the ids of the whole sequence, prompt included, as one JSON "
        "array\n" HELP_JSON HELP_QUIET,
    .policy_flags = true,
    .run = run_main,
};

/* One run from options to result. */
typedef struct run {
    cli_args args;
    const char *record;
    bool tokens_out;
    const char *until[CLI_MAX_SEVERAL]; /* NULL after the last */
    bool until_eos;
    const char *stop; /* which of them ended the decode; NULL: none */
    bool lost_text;   /* memory was short for looking */
    model m;
    int32_t *prompt;
    int n_prompt;
    bool blanks; /* the prompt has masks */
    session *s;
    recorder *rec;
    trajectory traj;
    const step_record *first; /* proposed before the recording is made */
    double started;
} run;

/* Progress ------------------------------------------------------------- */

static bool shows_progress(const run *r) {
    return !r->args.quiet && isatty(STDERR_FILENO);
}

static void show_progress(const run *r) {
    if (!shows_progress(r)) return;
    const traj_header *h = &r->traj.head;
    int total = 0, masks = 0;
    for (int i = 0; i < h->n_tokens; i++) {
        total += h->start[i] == h->mask_id;
        masks += r->traj.last[i] == h->mask_id;
    }
    double seconds = clock_now() - r->started, rate = seconds > 0 ? (total - masks) / seconds : 0;
    int left = rate > 0 ? (int)(masks / rate + 0.5) : 0;
    fprintf(stderr, "\r%d/%d tokens  step %d  %.1f tokens/s  ETA %d:%02d\033[K", total - masks, total,
            r->traj.n_records, rate, left / 60, left % 60);
}

static void clear_progress(const run *r) {
    if (shows_progress(r) && r->traj.n_records) fputs("\r\033[K", stderr);
}

/* Deciding ------------------------------------------------------------- */

static void note_untuned(const run *r) {
    const param_set *p = &r->args.policies[0].params;
    int i = param_find(p, "lambda"), off = param_find(p, "anti-collapse");
    if (r->args.quiet || i < 0 || p->given[i] || p->v[i] > 0 || r->m.tuning.tuned) return;
    if (off >= 0 && p->given[off]) return;
    fputs("tabes: anti-collapse off (untuned): the model has no tabes.json and --lambda is not given\n",
          stderr);
}

static void note_approximate(const run *r) {
    const param_set *p = &r->args.policies[0].params;
    if (r->args.quiet || !policy_approximates(p)) return;
    fprintf(stderr,
            "tabes: approximate decode: most steps read keys and values of an earlier pass (kv-cache %s)\n",
            param_choice(p, "kv-cache"));
}

static int open_session(run *r, err *e) {
    cli_args *a = &r->args;
    int rc = cli_read_prompt(a, &r->m, &r->prompt, &r->n_prompt, e);
    if (rc) return rc;
    int32_t mask = denoiser_get_info(r->m.d)->mask_id;
    for (int i = 0; i < r->n_prompt; i++) r->blanks |= r->prompt[i] == mask;
    const session_opts o = {.prompt = r->prompt,
                            .n_prompt = r->n_prompt,
                            .length = cli_length(a, &r->m, r->prompt, r->n_prompt),
                            .policy = a->policies[0].policy,
                            .params = a->policies[0].params,
                            .seed = a->seed,
                            .cancel = &cli_cancelled};
    return session_open(&r->s, r->m.d, &o, e);
}

static int open_trajectory(run *r, err *e) {
    traj_header head;
    session_header(r->s, &head);
    return trajectory_init(&r->traj, &head, model_texts(&r->m), e);
}

/* The recording is made only when the first step is known, so that a run that cannot start leaves an older
 * file alone. */
static int first_step(run *r, err *e) {
    int rc = session_propose(r->s, &r->first, e);
    if (!rc && r->record) rc = recorder_open(&r->rec, r->record, &r->traj.head, model_texts(&r->m), e);
    return rc;
}

static int one_step(run *r, const step_record *rec, err *e) {
    int rc = session_commit(r->s, rec, e);
    if (!rc && r->rec) rc = recorder_step(r->rec, rec, e);
    if (!rc) rc = trajectory_append(&r->traj, rec, e);
    return rc;
}

/* First position of the generated part. */
static int answer_begin(const run *r) {
    int32_t mask = denoiser_get_info(r->m.d)->mask_id;
    for (int i = 0; i < r->n_prompt && r->blanks; i++) {
        if (r->prompt[i] == mask) return i;
    }
    return r->n_prompt;
}

/* The text of --until that comes first in the text of the generated part, and where it begins; NULL: none. */
static const char *find_until(const run *r, const char *text, size_t *at) {
    const char *found = NULL;
    for (int i = 0; i < CLI_MAX_SEVERAL && r->until[i]; i++) {
        const char *hit = strstr(text, r->until[i]);
        if (!hit || (found && (size_t)(hit - text) >= *at)) continue;
        *at = (size_t)(hit - text);
        found = r->until[i];
    }
    return found;
}

/* What ends the decode here: a text, or an end, in the generated part with no mask before it. */
static const char *stop_of(run *r) {
    int n, from = answer_begin(r), to = from;
    if (!r->until[0] && !r->until_eos) return NULL;
    const int32_t *tokens = session_tokens(r->s, &n), mask = denoiser_get_info(r->m.d)->mask_id;
    for (; to < n && tokens[to] != mask; to++) {
        if (r->until_eos && model_stops(&r->m, tokens[to])) return "end of text";
    }
    if (!r->until[0]) return NULL;
    strbuf text;
    strbuf_init(&text, SIZE_MAX / 4);
    tokenizer_decode(r->m.tok, tokens + from, to - from, false, &text);
    size_t at = 0;
    const char *found = text.len ? find_until(r, text.data, &at) : NULL;
    r->lost_text = text.failed;
    strbuf_release(&text);
    return found;
}

static int all_steps(run *r, err *e) {
    int rc = 0;
    while (!rc && !session_done(r->s) && !(r->stop = stop_of(r))) {
        const step_record *rec = r->first;
        r->first = NULL;
        if (r->lost_text)
            rc = err_set(e, ERR_NO_MEMORY, "out of memory for the text of step %d", r->traj.n_records);
        if (!rc && !rec)
            rc = cli_cancelled ? err_set(e, ERR_CANCELLED, "cancelled") : session_propose(r->s, &rec, e);
        if (rc || !rec) {
            record_unref(rec);
            break;
        }
        rc = one_step(r, rec, e);
        record_unref(rec);
        if (!rc) show_progress(r);
    }
    clear_progress(r);
    if (!rc && r->rec) rc = recorder_finish(r->rec, &r->traj, e);
    /* Stopped by a person or by the device: the file is whole as far as it goes, and says that it is not
     * complete. */
    if ((rc == ERR_CANCELLED || rc == ERR_NO_MEMORY || rc == ERR_NO_DEVICE) && r->rec) {
        err late = {0}; /* still short of memory, the reason was said already, and the line may be missing */
        if (recorder_finish(r->rec, &r->traj, &late) && rc != ERR_NO_MEMORY) cli_note("%s", late.msg);
    }
    return rc;
}

/* Results -------------------------------------------------------------- */

/* The part a person wants to read; see the command's help. */
static void result_text(const run *r, const int32_t *tokens, int n, strbuf *out) {
    int from = r->blanks ? 0 : r->n_prompt, to = n;
    int32_t mask = denoiser_get_info(r->m.d)->mask_id;
    for (int i = r->n_prompt; i < to; i++) {
        if (model_stops(&r->m, tokens[i]) || (r->stop && tokens[i] == mask)) to = i;
    }
    size_t at;
    strbuf before;
    strbuf_init(&before, SIZE_MAX / 4);
    int begin = answer_begin(r);
    tokenizer_decode(r->m.tok, tokens + from, (begin < to ? begin : to) - from, false, &before);
    tokenizer_decode(r->m.tok, tokens + from, to - from, false, out);
    if (out->len > before.len && r->until[0] && find_until(r, out->data + before.len, &at))
        out->data[out->len = before.len + at] = '\0';
    strbuf_share_fault(out, &before);
    strbuf_release(&before);
}

static int print_ids(const int32_t *tokens, int n, err *e) {
    doc j;
    doc_init(&j);
    doc_ids(&j, NULL, tokens, n);
    return doc_print(&j, e);
}

static int print_json(const run *r, const int32_t *tokens, int n, const strbuf *text, err *e) {
    traj_totals sum = trajectory_totals(&r->traj, r->traj.n_records);
    const denoiser_info *info = denoiser_get_info(r->m.d);
    doc j;
    doc_init(&j);
    doc_object(&j, NULL);
    doc_object(&j, "model");
    doc_string(&j, "name", info->name);
    doc_string(&j, "fingerprint", info->fingerprint);
    doc_end(&j);
    doc_string(&j, "policy", r->args.policies[0].policy->name);
    doc_params(&j, "params", &r->traj.head.params);
    /* Readers that keep numbers as doubles lose digits above 2^53: a string then, as in recordings. */
    if (r->args.seed > UINT64_C(1) << 53) {
        char seed[24];
        snprintf(seed, sizeof seed, "%" PRIu64, r->args.seed);
        doc_string(&j, "seed", seed);
    } else {
        doc_uint(&j, "seed", r->args.seed);
    }
    if (text) {
        doc_bytes(&j, "text", text->data, text->len);
    } else {
        doc_null(&j, "text");
    }
    doc_ids(&j, "tokens", tokens, n);
    doc_int(&j, "n_prompt", r->n_prompt);
    doc_int(&j, "steps", r->traj.n_records);
    if (r->stop) {
        doc_string(&j, "stopped_by", r->stop);
    } else {
        doc_null(&j, "stopped_by");
    }
    doc_real(&j, "nfe", sum.nfe);
    doc_int(&j, "backward_rows", sum.backward_rows);
    doc_real(&j, "ms", sum.ms);
    if (r->record) {
        doc_string(&j, "record", r->record);
    } else {
        doc_null(&j, "record");
    }
    doc_end(&j);
    return doc_print(&j, e);
}

static void print_text(const strbuf *text) {
    strbuf clean;
    strbuf_init(&clean, SIZE_MAX / 4);
    text_clean(&clean, text->data, text->len, true);
    puts(clean.data);
    cli_check_shown(&clean);
    strbuf_release(&clean);
}

static int print_result(const run *r, err *e) {
    int n;
    const int32_t *tokens = session_tokens(r->s, &n);
    if (r->tokens_out || (!r->m.tok && !r->args.json)) return print_ids(tokens, n, e);
    strbuf text;
    strbuf_init(&text, SIZE_MAX / 4);
    if (r->m.tok) result_text(r, tokens, n, &text);
    int rc = text.failed ? strbuf_fault(&text, "the result", e) : 0;
    if (rc) {
        strbuf_release(&text);
        return rc;
    }
    if (r->args.json) {
        rc = print_json(r, tokens, n, r->m.tok ? &text : NULL, e);
    } else {
        print_text(&text);
    }
    strbuf_release(&text);
    return rc;
}

static int report_stop(const run *r, err *e) {
    if (e->code != ERR_CANCELLED) return cli_report(e);
    if (r->rec) {
        err_set(e, ERR_CANCELLED, "interrupted; %s holds %d step%s", r->record, r->traj.n_records,
                r->traj.n_records == 1 ? "" : "s");
    } else {
        err_set(e, ERR_CANCELLED, "interrupted after %d step%s", r->traj.n_records,
                r->traj.n_records == 1 ? "" : "s");
    }
    return cli_report(e);
}

/* Everything up to the first step is input: a failure there leaves nothing behind. */
static int run_opened(run *r, err *e) {
    int rc = open_session(r, e);
    if (!rc) rc = open_trajectory(r, e);
    if (rc) return cli_report_input(e);
    cli_catch_signals(); /* not before: a prompt from a pipe may be waited for, and a signal ends that */
    r->started = clock_now();
    rc = first_step(r, e);
    if (rc == ERR_NO_DEVICE) return cli_report(e); /* lost: it was there when the model was opened */
    if (rc && rc != ERR_CANCELLED) return cli_report_input(e);
    if (!rc) note_untuned(r), note_approximate(r);
    if (!rc) rc = all_steps(r, e);
    if (!rc) rc = print_result(r, e);
    return rc ? report_stop(r, e) : EXIT_OK;
}

static int run_main(int argc, char **argv) {
    run r = {.args = {.default_policies = "boe"}};
    const cli_extra extra[] = {{"record", 0, &r.record, NULL},
                               {"tokens-out", 0, NULL, &r.tokens_out},
                               {"until", CLI_SEVERAL, r.until, NULL},
                               {"until-eos", 0, NULL, &r.until_eos},
                               {0}};
    unsigned groups = CLI_MODEL | CLI_PROMPT | CLI_POLICY | CLI_SEED | CLI_JSON | CLI_QUIET;
    int code = cli_parse(&r.args, &cmd_run, groups, extra, argc, argv);
    if (code >= 0) return code;
    if (r.tokens_out && r.args.json)
        return cli_usage_error(&cmd_run, "give only one of --tokens-out and --json");
    if (!cli_has_prompt(&r.args))
        return cli_usage_error(&cmd_run, "no prompt; give -p, --prompt-file or --prompt-tokens");
    err e = {0};
    for (int i = 0; i < CLI_MAX_SEVERAL && r.until[i]; i++) {
        if (!r.until[i][0]) return cli_usage_error(&cmd_run, "--until: the text is empty");
    }
    if (cli_open_model(&r.args, &r.m, &e)) return cli_report_input(&e);
    if (r.until[0] && !r.m.tok) {
        model_close(&r.m);
        err_set(&e, ERR_BAD_ARGUMENT, "--until needs a tokenizer");
        return cli_report_input(&e);
    }
    code = run_opened(&r, &e);
    record_unref(r.first);
    recorder_close(r.rec);
    trajectory_release(&r.traj);
    session_close(r.s);
    free(r.prompt);
    model_close(&r.m);
    return code;
}
