/* math500.c - MATH-500: what stands in \boxed, compared after bringing both into one spelling. */
#include <string.h>

#include "eval/answer.h"

/* {"problem": ..., "answer": ..., "unique_id": ...} */
static int take(example_set *s, const cJSON *record, int index, err *e) {
    (void)index;
    const char *problem, *answer, *id;
    int rc = data_string(record, "problem", &problem, e);
    if (!rc) rc = data_string(record, "answer", &answer, e);
    if (!rc) rc = data_string(record, "unique_id", &id, e);
    if (rc) return rc;
    strbuf prompt;
    strbuf_init(&prompt, 1 << 20);
    strbuf_printf(&prompt, "%s\nThink step by step and put the final answer in \\boxed{}.", problem);
    rc = prompt.failed ? err_set(e, ERR_BAD_FORMAT, "the problem is too long")
                       : example_add(s, id, prompt.data, answer, e);
    strbuf_release(&prompt);
    return rc;
}

static int load(example_set *s, const char *text, size_t n, int max, err *e) {
    return data_each_line(s, text, n, max, take, e);
}

static verdict check(const example *x, const char *text, size_t n) {
    span boxed;
    if (!answer_boxed((span){text, n}, &boxed)) return VERDICT_WRONG;
    strbuf got, want;
    answer_normal(boxed, &got);
    answer_normal((span){x->answer, strlen(x->answer)}, &want);
    bool same = !got.failed && !want.failed && !strcmp(got.data, want.data);
    strbuf_release(&got);
    strbuf_release(&want);
    return same ? VERDICT_RIGHT : VERDICT_WRONG;
}

const task task_math500 = {
    .name = "math500",
    .summary = "MATH-500's test.jsonl; what stands in the last \\boxed",
    .length = 256,
    .load = load,
    .check = check,
};
