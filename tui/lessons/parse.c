/* parse.c - the text of a lesson, line by line; the first fault ends it with its place. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "tui/lessons/reader.h"
#include "tui/text.h"

/* Lines ---------------------------------------------------------------------- */

static bool begins(const reader *r, const char *with) {
    size_t n = strlen(with);
    return (size_t)(r->end - r->line) >= n && !memcmp(r->line, with, n);
}

static int check_bytes(const reader *r) {
    for (const char *s = r->line; s < r->end;) {
        uint32_t cp = 0;
        int n = utf8_decode(s, (size_t)(r->end - s), &cp);
        if (n <= 0) return FAULT(r, s, "not UTF-8");
        if (!cp || (cp != '\t' && cp != '\r' && text_width(cp) < 0))
            return FAULT(r, s, "U+%04X cannot be shown", (unsigned)cp);
        s += n;
    }
    return 0;
}

static int read_line(reader *r) {
    size_t n;
    int rc = check_bytes(r);
    if (rc) return rc;
    const char *text = trimmed(r->line, r->end, &n);
    if (!n) {
        r->gap = true;
        return 0;
    }
    if (*r->line == '#') return 0;
    if (begins(r, "==")) {
        rc = r->step ? 0 : end_head(r);
        text = trimmed(r->line + 2, r->end, &n);
        return rc ? rc : begin_step(r, text, n);
    }
    if (r->step && n == 2 && !memcmp(text, "--", 2)) return begin_after(r);
    return r->step ? step_line(r) : head_line(r);
}

static int read_all(reader *r, const char *text, size_t n) {
    const char *stop = text + n;
    for (const char *at = text; at < stop; at = r->end + 1) {
        const char *newline = memchr(at, '\n', (size_t)(stop - at));
        r->line = at;
        r->end = newline ? newline : stop;
        r->number++;
        int rc = read_line(r);
        if (rc) return rc;
    }
    r->line = r->end = stop;
    r->number++;
    if (!r->step) return FAULT(r, r->line, "the lesson has no steps (== TITLE)");
    return end_step(r);
}

/* Doors ----------------------------------------------------------------------- */

static void name_of(lesson *l) {
    const char *slash = strrchr(l->path, '/');
    snprintf(l->name, sizeof l->name, "%.60s", slash ? slash + 1 : l->path);
    char *dot = strstr(l->name, ".lesson");
    if (dot) *dot = '\0';
}

int lesson_parse(lesson **out, const char *text, size_t n, const char *path, err *e) {
    lesson *l = mem_new(1, sizeof *l);
    *out = NULL;
    if (!l) return err_set(e, ERR_NO_MEMORY, "%.200s: out of memory", path);
    snprintf(l->path, sizeof l->path, "%s", path);
    name_of(l);
    reader r = {.l = l, .e = e};
    strbuf_init(&r.text, LESSON_MAX_BYTES);
    strbuf_init(&r.commands, LESSON_MAX_BYTES);
    strbuf_init(&r.marks, LESSON_MAX_BYTES);
    l->steps = arena_new(&l->mem, LESSON_MAX_STEPS, sizeof *l->steps);
    int rc = l->steps ? read_all(&r, text, n) : no_memory(&r);
    strbuf_release(&r.text);
    strbuf_release(&r.commands);
    strbuf_release(&r.marks);
    if (rc) {
        lesson_free(l);
    } else {
        *out = l;
    }
    return rc;
}

int lesson_load(lesson **out, const char *path, err *e) {
    strbuf text;
    *out = NULL;
    if (strlen(path) >= LESSON_PATH) return err_set(e, ERR_BAD_ARGUMENT, "the lesson's path is too long");
    int rc = strbuf_read_file(&text, path, LESSON_MAX_BYTES, e);
    if (rc) return rc;
    rc = lesson_parse(out, text.data, text.len, path, e);
    strbuf_release(&text);
    return rc;
}

void lesson_free(lesson *l) {
    if (!l) return;
    arena_release(&l->mem);
    free(l);
}
