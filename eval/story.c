/* story.c - the word problems of the bundled story model: the number after the last "####" is the answer. */
#include <string.h>

#include "eval/data.h"

/* {"prompt": ..., "answer": ..., "result": 24} */
static int take(example_set *s, const cJSON *record, int index, err *e) {
    const char *prompt;
    int rc = data_string(record, "prompt", &prompt, e);
    const cJSON *result = cJSON_GetObjectItemCaseSensitive(record, "result");
    if (!rc && !cJSON_IsNumber(result)) rc = err_set(e, ERR_BAD_FORMAT, "no number \"result\"");
    if (rc) return rc;
    char id[32], answer[32];
    snprintf(id, sizeof id, "story-%d", index + 1);
    snprintf(answer, sizeof answer, "%.0f", result->valuedouble);
    return example_add(s, id, prompt, answer, e);
}

static int load(example_set *s, const char *text, size_t n, int max, err *e) {
    return data_each_line(s, text, n, max, take, e);
}

static verdict check(const example *x, const char *text, size_t n) {
    span t = {text, n};
    const char *mark = span_last(t, "####");
    if (!mark) return VERDICT_WRONG;
    span after = span_trim((span){mark + 4, n - (size_t)(mark + 4 - text)});
    return span_is(span_before(span_before(after, " "), "\n"), x->answer) ? VERDICT_RIGHT : VERDICT_WRONG;
}

const task task_story = {
    .name = "story",
    .summary = "word problems of the bundled story model, from its held-out file",
    .bundled = "story/heldout.jsonl",
    .length = 40,
    .load = load,
    .check = check,
};
