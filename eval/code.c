/* code.c - HumanEval and MBPP: samples for their public harnesses. Nothing is executed here, so nothing is
 * judged.
 *
 * HumanEval's `evaluate_functional_correctness` reads {"task_id", "completion"} and runs prompt + completion,
 * so a completion may go on with the body, or be a whole program of its own. MBPP's samples are in the form
 * of EvalPlus, {"task_id": "Mbpp/2", "solution": ...}. */
#include <string.h>

#include "eval/data.h"

/* HumanEval ------------------------------------------------------------ */

static int take_humaneval(example_set *s, const cJSON *record, int index, err *e) {
    (void)index;
    const char *id, *prompt;
    int rc = data_string(record, "task_id", &id, e);
    if (!rc) rc = data_string(record, "prompt", &prompt, e);
    return rc ? rc : example_add(s, id, prompt, NULL, e);
}

static int load_humaneval(example_set *s, const char *text, size_t n, int max, err *e) {
    return data_each_line(s, text, n, max, take_humaneval, e);
}

/* What follows a function's body does not belong to it: the stop words of the public evaluations. */
static span cut_body(span t) {
    static const char *const stops[] = {"\nclass ",      "\ndef ",   "\n#",
                                        "\nif __name__", "\nprint(", "\nassert "};
    for (size_t i = 0; i < sizeof stops / sizeof stops[0]; i++) t = span_before(t, stops[i]);
    return t;
}

static int sample_humaneval(const example *x, const char *text, size_t n, strbuf *out, err *e) {
    span t = {text, n}, code = span_code(t);
    bool body = code.n && (code.s[0] == ' ' || code.s[0] == '\t' || code.s[0] == '\n');
    if (code.s == t.s && body) code = cut_body(code);
    return data_sample(out, "task_id", x->id, "completion", code.s, code.n, e);
}

const task task_humaneval = {
    .name = "humaneval",
    .summary = "HumanEval.jsonl; writes --samples for its harness, runs nothing",
    .length = 256,
    .load = load_humaneval,
    .sample = sample_humaneval,
};

/* MBPP ----------------------------------------------------------------- */

static int put_tests(strbuf *b, const cJSON *record, err *e) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(record, "test_list"), *test;
    if (!cJSON_IsArray(list)) return err_set(e, ERR_BAD_FORMAT, "no array \"test_list\"");
    cJSON_ArrayForEach(test, list) {
        if (!cJSON_IsString(test)) return err_set(e, ERR_BAD_FORMAT, "a test is not a text");
        strbuf_printf(b, "%s\n", test->valuestring);
    }
    return 0;
}

/* One problem; the prompt is the data set's own. */
static int take_mbpp(example_set *s, const cJSON *record, err *e) {
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(record, "task_id");
    const char *words, *key = cJSON_HasObjectItem(record, "prompt") ? "prompt" : "text";
    if (!cJSON_IsNumber(number)) return err_set(e, ERR_BAD_FORMAT, "no number \"task_id\"");
    int rc = data_string(record, key, &words, e);
    if (rc) return rc;
    char id[32];
    snprintf(id, sizeof id, "Mbpp/%.0f", number->valuedouble);
    strbuf prompt;
    strbuf_init(&prompt, 1 << 20);
    strbuf_printf(
        &prompt,
        "You are an expert Python programmer, and here is your task: %s Your code should pass these "
        "tests:\n\n",
        words);
    rc = put_tests(&prompt, record, e);
    strbuf_puts(&prompt, "[BEGIN]\n");
    if (!rc && prompt.failed) rc = err_set(e, ERR_BAD_FORMAT, "the task is too long");
    if (!rc) rc = example_add(s, id, prompt.data, NULL, e);
    strbuf_release(&prompt);
    return rc;
}

static int take_mbpp_line(example_set *s, const cJSON *record, int index, err *e) {
    (void)index;
    return take_mbpp(s, record, e);
}

/* The sanitized file is one array, the full one has a problem a line. */
static int load_mbpp(example_set *s, const char *text, size_t n, int max, err *e) {
    span t = span_trim((span){text, n});
    if (!t.n || t.s[0] != '[') return data_each_line(s, text, n, max, take_mbpp_line, e);
    cJSON *list = cJSON_ParseWithLength(t.s, t.n);
    const cJSON *record;
    int rc = cJSON_IsArray(list) ? 0 : err_set(e, ERR_BAD_FORMAT, "not a JSON array of problems");
    cJSON_ArrayForEach(record, list) {
        if (rc || (max && s->n >= max)) break;
        rc = take_mbpp(s, record, e);
        if (rc) err_prefix(e, "problem %d", s->n + 1);
    }
    cJSON_Delete(list);
    return rc;
}

static int sample_mbpp(const example *x, const char *text, size_t n, strbuf *out, err *e) {
    span code = span_code(span_before((span){text, n}, "[DONE]"));
    return data_sample(out, "task_id", x->id, "solution", code.s, code.n, e);
}

const task task_mbpp = {
    .name = "mbpp",
    .summary = "MBPP's sanitized-mbpp.json or mbpp.jsonl; writes --samples for EvalPlus, runs nothing",
    .length = 256,
    .load = load_mbpp,
    .sample = sample_mbpp,
};
