/* text.c - free text: continuations of given beginnings, or texts from nothing. What is measured is in
 * quality.h. */
#include <string.h>

#include "eval/data.h"

static int generate(example_set *s, const task_opts *o, err *e) {
    int rc = 0;
    for (int i = 0; i < o->n && !rc; i++) {
        char id[32];
        snprintf(id, sizeof id, "text-%d", i);
        rc = example_add(s, id, "", NULL, e);
    }
    return rc;
}

/* {"text": ...} or {"prompt": ...} */
static int take(example_set *s, const cJSON *record, int index, err *e) {
    const char *text, *key = cJSON_HasObjectItem(record, "prompt") ? "prompt" : "text";
    int rc = data_string(record, key, &text, e);
    char id[32];
    snprintf(id, sizeof id, "text-%d", index + 1);
    return rc ? rc : example_add(s, id, text, NULL, e);
}

/* JSON Lines, or plain text with a beginning on every line. */
static int load(example_set *s, const char *text, size_t n, int max, err *e) {
    if (span_trim((span){text, n}).n && span_trim((span){text, n}).s[0] == '{')
        return data_each_line(s, text, n, max, take, e);
    const char *end = text + n;
    while (text < end && (!max || s->n < max)) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        size_t len = (size_t)((stop ? stop : end) - text);
        char id[32], *line = arena_new(&s->mem, len + 1, 1);
        if (!line) return err_set(e, ERR_NO_MEMORY, "out of memory for %d texts", s->n);
        memcpy(line, text, len);
        snprintf(id, sizeof id, "text-%d", s->n + 1);
        int rc = span_trim((span){line, len}).n ? example_add(s, id, line, NULL, e) : 0;
        if (rc) return rc;
        text = stop ? stop + 1 : end;
    }
    return 0;
}

static int sample(const example *x, const char *text, size_t n, strbuf *out, err *e) {
    (void)x;
    return data_sample(out, NULL, NULL, "text", text, n, e);
}

const task task_text = {
    .name = "text",
    .summary = "texts from nothing, or continuations of the lines of a file: perplexities and diversity",
    .length = 64,
    .whole = true,
    .text = true,
    .generate = generate,
    .load = load,
    .sample = sample,
};
