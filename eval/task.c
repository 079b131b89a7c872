/* task.c - the table of tasks, and how a set of examples comes together. */
#include "eval/task.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "eval/data.h"

#define TASK_LIST(FIRST, X)                                                                                  \
    FIRST(sudoku)                                                                                            \
    X(countdown) X(story) X(gsm8k) X(math500) X(humaneval) X(mbpp) X(text)
#define ENTRY(id)      &task_##id,
#define NAME_FIRST(id) #id
#define NAME_NEXT(id)  ", " #id

enum { DATA_MAX_BYTES = 256 << 20 };

const task *const tasks[] = {TASK_LIST(ENTRY, ENTRY) NULL};

const char *task_names(void) {
    return TASK_LIST(NAME_FIRST, NAME_NEXT);
}

const task *task_find(const char *name) {
    for (int i = 0; tasks[i]; i++) {
        if (!strcmp(tasks[i]->name, name)) return tasks[i];
    }
    return NULL;
}

int example_add(example_set *s, const char *id, const char *prompt, const char *answer, err *e) {
    example x = {arena_strdup(&s->mem, id), arena_strdup(&s->mem, prompt),
                 answer ? arena_strdup(&s->mem, answer) : NULL};
    if (!x.id || !x.prompt || (answer && !x.answer) ||
        !mem_grow((void **)&s->items, &s->cap, (size_t)s->n + 1, sizeof *s->items))
        return err_set(e, ERR_NO_MEMORY, "out of memory for %d examples", s->n + 1);
    s->items[s->n++] = x;
    return 0;
}

void example_set_release(example_set *s) {
    free(s->items);
    arena_release(&s->mem);
    *s = (example_set){0};
}

static int by_id(const void *a, const void *b) {
    const char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

/* Results are found again by id, so two examples must not share one. */
static int check_ids(const example_set *s, err *e) {
    const char **ids = mem_new((size_t)s->n, sizeof *ids);
    if (!ids) return err_set(e, ERR_NO_MEMORY, "out of memory for %d examples", s->n);
    for (int i = 0; i < s->n; i++) ids[i] = s->items[i].id;
    qsort(ids, (size_t)s->n, sizeof *ids, by_id);
    int rc = 0;
    for (int i = 1; i < s->n && !rc; i++) {
        if (!strcmp(ids[i], ids[i - 1]))
            rc = err_set(e, ERR_BAD_FORMAT, "two examples are called '%.60s'", ids[i]);
    }
    free(ids);
    return rc;
}

static int read_examples(const task *t, const task_opts *o, example_set *s, err *e) {
    strbuf text;
    int rc = strbuf_read_file(&text, o->data, DATA_MAX_BYTES, e);
    if (rc) return rc;
    rc = t->load(s, text.data, text.len, o->n, e);
    if (!rc && !s->n) rc = err_set(e, ERR_BAD_FORMAT, "no examples");
    if (!rc) rc = check_ids(s, e);
    if (rc) err_prefix(e, "%s", o->data);
    strbuf_release(&text);
    return rc;
}

int task_examples(const task *t, const task_opts *o, example_set *out, err *e) {
    *out = (example_set){0};
    int rc;
    if (o->data) {
        rc = read_examples(t, o, out, e);
    } else if (t->generate) {
        task_opts with = *o;
        if (!with.n) with.n = TASK_DEFAULT_N;
        rc = t->generate(out, &with, e);
    } else {
        rc = err_set(e, ERR_BAD_ARGUMENT, "task %s needs its file, with --data", t->name);
    }
    if (!rc && o->n > out->n)
        rc = err_set(e, ERR_BAD_ARGUMENT, "%s has %d examples, not %d", o->data ? o->data : t->name, out->n,
                     o->n);
    if (rc) example_set_release(out);
    return rc;
}

int task_sample(const task *t, const example *x, const char *text, size_t n, strbuf *out, err *e) {
    return t->sample ? t->sample(x, text, n, out, e) : data_sample(out, "id", x->id, "text", text, n, e);
}
