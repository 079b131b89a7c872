/* page.c - texts, question, choices and verdict, wrapped. */
#include "tui/lessons/page.h"

#include <string.h>

#include "engine/base/mem.h"
#include "tui/lessons/sets.h"

/* Bytes of the text's beginning that fit into the width, broken at a blank where there is one; the rest
 * begins at *rest. */
static size_t fit(const char *text, int width, const char **rest) {
    size_t at = 0, blank = 0;
    int columns = 0;
    while (text[at] && text[at] != '\n') {
        glyph g[TEXT_MAX_GLYPHS];
        size_t used = 0;
        int n = text_next(text + at, strlen(text + at), NULL, g, &used);
        for (int i = 0; i < n; i++) columns += g[i].width;
        if (columns > width) break;
        if (text[at] == ' ') blank = at;
        at += used ? used : 1;
    }
    bool over = text[at] && text[at] != '\n';
    size_t n = over && blank ? blank : at;
    *rest = text + n + (text[n] == ' ' || text[n] == '\n');
    return n;
}

/* Wrapped; lines after the first are indented under it. */
static void add(page *p, style_role role, const char *text, int indent, int width) {
    int room = width - indent;
    for (int line = 0; *text && p->n < PAGE_MAX_LINES; line++) {
        const char *rest;
        size_t n = fit(text, line ? room : width, &rest);
        if (n > PAGE_LINE - 16) n = PAGE_LINE - 16;
        page_line *l = &p->at[p->n++];
        l->role = role;
        snprintf(l->text, sizeof l->text, "%*s%.*s", line ? indent : 0, "", (int)n, text);
        if (rest == text) return; /* no room for one character */
        text = rest;
    }
}

/* With its placeholders filled, and something before it. */
static void add_text(const app *a, page *p, style_role role, const char *before, const char *text, int indent,
                     int width) {
    strbuf out;
    err bad = {0};
    strbuf_init(&out, LESSON_MAX_BYTES);
    strbuf_puts(&out, before);
    if (set_expand(a, text, &out, &bad) && !p->bad.code) p->bad = bad;
    add(p, role, out.data, indent, width);
    strbuf_release(&out);
}

static void add_question(const app *a, page *p, const lesson_step *s, int width) {
    char number[16];
    if (!s->question) return;
    add_text(a, p, STYLE_STRONG, "", s->question, 0, width);
    for (int i = 0; i < s->n_choices; i++) {
        snprintf(number, sizeof number, " %d  ", i + 1);
        add_text(a, p, STYLE_KEY, number, s->choices[i], 4, width);
    }
}

static void add_verdict(const app *a, page *p, const lesson_step *s, lesson_answer given, int width) {
    const char *said = given == ANSWER_RIGHT ? "Right: " : given == ANSWER_WRONG ? "Not so: " : "Answer: ";
    style_role role = given == ANSWER_RIGHT ? STYLE_NEXT : given == ANSWER_WRONG ? STYLE_WARN : STYLE_STRONG;
    char before[32], text[300];
    if (!s->question) return;
    if (s->n_choices) {
        snprintf(before, sizeof before, "%s%d, ", said, s->right + 1);
        add_text(a, p, role, before, s->choices[s->right], 2, width);
    } else {
        snprintf(text, sizeof text, "position {pos %.200s}", s->place);
        add_text(a, p, role, said, text, 2, width);
    }
}

static void fill(const app *a, int step, bool after, int width, page *p) {
    const lesson_step *s = &a->lesson.l->steps[step];
    lesson_answer given = a->lesson.answers[step];
    p->n = 0;
    p->bad = (err){0};
    if (after) add_verdict(a, p, s, given, width);
    add_text(a, p, STYLE_PLAIN, "", after ? s->after.text : s->before.text, 0, width);
    if (!after) add_question(a, p, s, width);
}

void page_now(const app *a, int width, page *out) {
    out->n = 0;
    if (a->lesson.l) fill(a, a->lesson.step, a->lesson.after, width, out);
}

int page_most_lines(const app *a, int width) {
    const lesson *l = a->lesson.l;
    int most = 0;
    page *p = l ? mem_new(1, sizeof *p) : NULL;
    for (int i = 0; p && i < 2 * l->n_steps; i++) {
        fill(a, i / 2, i % 2, width, p);
        if (p->n > most) most = p->n;
    }
    free(p);
    return most;
}
