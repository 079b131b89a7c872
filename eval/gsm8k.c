/* gsm8k.c - grade-school mathematics: the last number counts. */
#include <math.h>
#include <string.h>

#include "eval/answer.h"

/* {"question": ..., "answer": "... #### 18"} */
static int take(example_set *s, const cJSON *record, int index, err *e) {
    const char *question, *answer;
    int rc = data_string(record, "question", &question, e);
    if (!rc) rc = data_string(record, "answer", &answer, e);
    if (rc) return rc;
    if (!strstr(answer, "####")) return err_set(e, ERR_BAD_FORMAT, "the answer has no \"####\"");
    char id[32];
    snprintf(id, sizeof id, "gsm8k-%d", index + 1);
    strbuf prompt;
    strbuf_init(&prompt, 1 << 20);
    strbuf_printf(&prompt, "%s\nThink step by step and end with \"#### \" and the number.", question);
    rc = prompt.failed ? err_set(e, ERR_BAD_FORMAT, "the question is too long")
                       : example_add(s, id, prompt.data, answer, e);
    strbuf_release(&prompt);
    return rc;
}

static int load(example_set *s, const char *text, size_t n, int max, err *e) {
    return data_each_line(s, text, n, max, take, e);
}

static verdict check(const example *x, const char *text, size_t n) {
    double want, got;
    if (!answer_number((span){x->answer, strlen(x->answer)}, &want)) return VERDICT_WRONG;
    if (!answer_number((span){text, n}, &got)) return VERDICT_WRONG;
    return fabs(got - want) < 1e-6 ? VERDICT_RIGHT : VERDICT_WRONG;
}

const task task_gsm8k = {
    .name = "gsm8k",
    .summary = "GSM8K's test.jsonl; the number after \"####\", in \\boxed or last of all",
    .length = 256,
    .load = load,
    .check = check,
};
