/* fuzz_tasks.c - what `tabes eval` reads: files of examples in the layouts of the public data sets, answers
 * to them, and a results file that an earlier run left.
 *
 * The first byte picks the task, or the results file. Behind a separator stands the answer that is judged. */
#include <stdlib.h>
#include <string.h>

#include "eval/eval.h"
#include "tests/fuzz/support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { MAX_ITEMS = 64, MAX_EXAMPLES = 32 };

static void judge(const task *t, const example *x, const char *text, size_t n) {
    strbuf out;
    err e = {0};
    strbuf_init(&out, 1 << 22);
    if (t->brief) t->brief(x, &out);
    if (t->check) {
        verdict v = t->check(x, text, n);
        if (v != VERDICT_RIGHT && v != VERDICT_WRONG) abort();
        if (x->answer) t->check(x, x->answer, strlen(x->answer));
    }
    if (task_sample(t, x, text, n, &out, &e) == 0 && out.data[out.len - 1] != '\n') abort();
    strbuf_release(&out);
}

static void read_task(const task *t, const char *path, const uint8_t *answer, size_t n_answer) {
    example_set set = {0};
    err e = {0};
    if (task_examples(t, &(task_opts){.data = path}, &set, &e)) {
        fuzz_message(&e);
        return;
    }
    for (int i = 0; i < set.n && i < MAX_EXAMPLES; i++)
        judge(t, &set.items[i], (const char *)answer, n_answer);
    example_set_release(&set);
}

/* ---- results ---- */

static const eval_plan *open_plan(void) {
    static eval_plan p;
    err e = {0};
    if (p.task) return &p;
    eval_config one = {.label = "boe", .policy = policy_find("boe")};
    policy_defaults(one.policy, NULL, &one.params);
    eval_wish w = {.policies = &one,
                   .n_policies = 1,
                   .lengths = {8},
                   .n_lengths = 1,
                   .rates = {1, 2},
                   .n_rates = 2,
                   .n_seeds = 1};
    p.task = task_find("countdown");
    p.identity = strdup("a model");
    if (task_examples(p.task, &(task_opts){.n = 3}, &p.examples, &e) ||
        plan_configs(&p, &w, &(denoiser_info){.n_vocab = 10}, &e)) {
        fprintf(stderr, "%s\n", e.msg);
        _Exit(1);
    }
    return &p;
}

/* An item's number in 32 digits becomes its key, which nobody could guess. */
static void put_keys(const eval_plan *p, uint8_t *data, size_t n) {
    for (int i = 0; n && i < plan_items(p); i++) {
        char number[EVAL_KEY], key[EVAL_KEY];
        snprintf(number, sizeof number, "%032d", i);
        plan_key(p, i, key);
        uint8_t *at = memmem(data, n, number, EVAL_KEY - 1);
        if (at) memcpy(at, key, EVAL_KEY - 1);
    }
}

static void tables(const eval_plan *p, const outcome *outcomes) {
    summary s;
    err e = {0};
    if (summary_make(&s, p, outcomes, &e)) return;
    for (int i = 0; i < s.n_rows; i++) summary_is_best(&s, i);
    summary_release(&s);
}

/* What was found is written as it stands in the file, and found again. */
static void read_results(const char *path, const eval_plan *p) {
    outcome outcomes[MAX_ITEMS] = {0};
    results_file *f;
    int found = 0;
    bool torn;
    err e = {0};
    if (results_open(&f, path, p, outcomes, &found, &torn, &e) == 0) {
        tables(p, outcomes);
        for (int i = 0; i < plan_items(p); i++) {
            strbuf line;
            outcome again;
            char key[EVAL_KEY];
            strbuf_init(&line, 1 << 22);
            if (outcomes[i].known && outcome_write(p, i, &outcomes[i], &line, &e) == 0) {
                if (outcome_read(line.data, line.len - 1, key, &again, &e)) abort();
                if (again.masks != outcomes[i].masks || again.verdict != outcomes[i].verdict) abort();
                outcome_release(&again);
            }
            strbuf_release(&line);
        }
        results_close(f);
    }
    for (int i = 0; i < MAX_ITEMS; i++) outcome_release(&outcomes[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static fuzz_file f;
    const uint8_t *answer;
    size_t n_answer;
    int n_tasks = 0;
    if (!n) return 0;
    while (tasks[n_tasks]) n_tasks++;
    int i = data[0] % (n_tasks + 1);
    if (i < n_tasks) {
        size_t n_file = fuzz_split(data + 1, n - 1, &answer, &n_answer);
        fuzz_file_fill(&f, data + 1, n_file);
        read_task(tasks[i], f.path, answer, n_answer);
        return 0;
    }
    uint8_t *copy = malloc(n);
    if (!copy) return 0;
    memcpy(copy, data + 1, n - 1);
    put_keys(open_plan(), copy, n - 1);
    fuzz_file_fill(&f, copy, n - 1);
    free(copy);
    read_results(f.path, open_plan());
    return 0;
}
