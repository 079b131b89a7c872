/* script.c - the queue of commands. */
#include "tui/script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/base/strbuf.h"
#include "tui/app.h"
#include "tui/command.h"

static void release_lines(script_line *at, size_t n) {
    for (size_t i = 0; i < n; i++) {
        free(at[i].text);
        free(at[i].where);
    }
}

void script_drop(script *s) {
    release_lines(s->at, s->n);
    s->n = 0;
    s->depth = 0;
    s->running[0] = '\0';
}

static bool is_of(const script_line *l, const char *place) {
    return !strncmp(l->where, place, strlen(place));
}

bool script_has(const script *s, const char *place) {
    for (size_t i = 0; i < s->n; i++) {
        if (is_of(&s->at[i], place)) return true;
    }
    return false;
}

void script_drop_of(script *s, const char *place) {
    size_t kept = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (is_of(&s->at[i], place)) {
            release_lines(&s->at[i], 1);
        } else {
            s->at[kept++] = s->at[i];
        }
    }
    s->n = kept;
}

void script_release(script *s) {
    script_drop(s);
    free(s->at);
    *s = (script){0};
}

static char *copy_text(const char *text, size_t n) {
    char *copy = mem_new(n + 1, 1);
    if (copy) memcpy(copy, text, n);
    return copy;
}

static int push_line(script *s, const script_line *like, const char *text, size_t n, err *e) {
    void *at = s->at;
    if (s->n >= SCRIPT_MAX_LINES)
        return err_set(e, ERR_BAD_FORMAT, "%s: more than %d commands wait", like->where, SCRIPT_MAX_LINES);
    if (!mem_grow(&at, &s->cap, s->n + 1, sizeof *s->at))
        return err_set(e, ERR_NO_MEMORY, "%s: out of memory", like->where);
    s->at = at;
    script_line l = *like;
    l.text = copy_text(text, n);
    l.where = copy_text(like->where, strlen(like->where));
    s->at[s->n++] = l;
    return l.text && l.where ? 0 : err_set(e, ERR_NO_MEMORY, "%s: out of memory", like->where);
}

/* Bytes up to the end of a command. */
static size_t command_length(const char *text, bool exec) {
    size_t n = 0;
    for (bool quoted = false; text[n] && text[n] != '\n' && (quoted || !exec || text[n] != ';'); n++) {
        if (text[n] == '\\' && text[n + 1] && text[n + 1] != '\n') {
            n++;
        } else if (text[n] == '"') {
            quoted = !quoted;
        }
    }
    return n;
}

static void reverse(script_line *at, size_t n) {
    for (size_t i = 0; i < n / 2; i++) {
        script_line l = at[i];
        at[i] = at[n - 1 - i];
        at[n - 1 - i] = l;
    }
}

int script_push(script *s, const char *name, const char *text, bool exec, bool lenient, err *e) {
    size_t before = s->n;
    int rc = 0;
    char where[400];
    for (int line = 1; !rc && *text; line++) {
        size_t n = command_length(text, exec);
        snprintf(where, sizeof where, "%.300s:%d", name, line);
        script_line like = {.where = where, .depth = s->depth + 1, .lenient = lenient};
        if (text[strspn(text, " \t\r")] != '#' && strspn(text, " \t\r") < n)
            rc = push_line(s, &like, text, n, e);
        text += n + (text[n] != '\0');
    }
    if (s->n == before) return rc; /* nothing but comments: there may be no array yet */
    if (!rc) reverse(s->at + before, s->n - before);
    if (rc) {
        release_lines(s->at + before, s->n - before);
        s->n = before;
    }
    return rc;
}

int script_push_file(script *s, const char *path, bool lenient, err *e) {
    strbuf text;
    if (s->depth >= SCRIPT_MAX_DEPTH)
        return err_set(e, ERR_BAD_ARGUMENT, "%.200s: files source each other more than %d deep", path,
                       SCRIPT_MAX_DEPTH);
    int rc = strbuf_read_file(&text, path, SCRIPT_MAX_BYTES, e);
    if (rc) return rc;
    if (memchr(text.data, '\0', text.len)) {
        rc = err_set(e, ERR_BAD_FORMAT, "%.200s: not a text file (it has NUL bytes)", path);
    } else {
        rc = script_push(s, path, text.data, false, lenient, e);
    }
    strbuf_release(&text);
    return rc;
}

/* A lenient line's error is shown, and the first of several stays. */
static void note_bad(app *a, const err *e) {
    script *s = &a->script;
    if (!s->n_bad++) snprintf(s->first, sizeof s->first, "%s", e->msg);
    if (s->n_bad == 1) app_complain(a, "%s", s->first);
    if (s->n_bad > 1) app_complain(a, "%s (and %d more)", s->first, s->n_bad - 1);
}

/* The line that ran before: a step that failed after it returned is its error. */
static int finish_line(app *a, err *e) {
    script *s = &a->script;
    bool failed = s->running[0] && a->warning;
    if (failed) {
        err_set(e, ERR_BAD_ARGUMENT, "%s: %s", s->running, a->message);
        script_drop(s);
    }
    s->running[0] = '\0';
    return failed ? e->code : 0;
}

int script_step(app *a, unsigned *flags, err *e) {
    script *s = &a->script;
    int rc = finish_line(a, e);
    if (rc || !s->n) return rc;
    script_line l = s->at[--s->n];
    s->depth = l.depth;
    rc = command_run(a, l.text, flags, e);
    s->depth = 0;
    if (rc) err_prefix(e, "%s", l.where);
    if (rc && l.lenient) {
        note_bad(a, e);
        rc = 0;
    } else if (rc) {
        script_drop(s);
    } else if (!l.lenient) {
        snprintf(s->running, sizeof s->running, "%s", l.where);
    }
    free(l.text);
    free(l.where);
    return rc;
}
