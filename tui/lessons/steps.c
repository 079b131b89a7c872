/* steps.c - the steps of a lesson: text, commands, highlights, question. */
#include <stdio.h>
#include <string.h>

#include "tui/command.h"
#include "tui/lessons/reader.h"
#include "tui/lessons/sets.h"

/* What a set or a placeholder said, with its place: `at` lies in a copy that begins at `text` of the line. */
static int fault_in(const reader *r, const char *text, const char *copy, const char *at) {
    return fault(r, text + (at - copy));
}

/* Commands and sets ----------------------------------------------------------- */

/* What a lesson may not do to its viewer: files, other workbenches, the way out. */
static bool forbidden(const char *name) {
    static const char *const names[] = {"write",       "export",       "record",   "save-tree", "source",
                                        "open",        "quit",         "quit-now", "suspend",   "theme",
                                        "command",     "find",         "help",     "mouse",     "lesson-next",
                                        "lesson-back", "lesson-answer"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!strcmp(names[i], name)) return true;
    }
    return false;
}

static int add_command(reader *r, const char *value, size_t n) {
    char name[64] = "";
    size_t len = 0;
    while (len < n && value[len] != ' ' && value[len] != '\t' && value[len] != '\r') len++;
    if (!n) return FAULT(r, value, "a command is missing");
    snprintf(name, sizeof name, "%.*s", (int)(len < 60 ? len : 60), value);
    if (forbidden(name)) return FAULT(r, value, "'%s' is not for lessons", name);
    if (name[strspn(name, "0123456789")] && !command_known(name))
        return FAULT(r, value, "'%s' is no command (in lessons names are written out)", name);
    strbuf_add(&r->commands, value, n);
    strbuf_putc(&r->commands, '\n');
    return 0;
}

static int check_set(reader *r, const char *value, const char *copy) {
    const char *at = copy;
    return set_check(copy, &at, r->e) ? fault_in(r, value, copy, at) : 0;
}

static int check_text(reader *r, const char *value, const char *copy) {
    const char *at = copy;
    return set_check_text(copy, &at, r->e) ? fault_in(r, value, copy, at) : 0;
}

static int add_marks(reader *r, const char *value, size_t n) {
    char *copy = keep(r, value, n);
    if (!copy) return no_memory(r);
    int rc = check_set(r, value, copy);
    if (r->marks.len) strbuf_puts(&r->marks, ", ");
    strbuf_add(&r->marks, value, n);
    return rc;
}

/* Steps --------------------------------------------------------------------- */

static int end_act(reader *r) {
    if (!r->act) return 0;
    r->act->text = keep(r, r->text.data, r->text.len);
    r->act->commands = keep(r, r->commands.data, r->commands.len);
    r->act->marks = keep(r, r->marks.data, r->marks.len);
    bool failed = r->text.failed || r->commands.failed || r->marks.failed;
    strbuf_clear(&r->text);
    strbuf_clear(&r->commands);
    strbuf_clear(&r->marks);
    r->gap = false;
    return !failed && r->act->text && r->act->commands && r->act->marks ? 0 : no_memory(r);
}

static int check_question(reader *r) {
    const lesson_step *s = r->step;
    if (!s || !s->question) return 0;
    if (s->n_choices && s->place) return FAULT(r, r->line, "a question has choices or an answer, not both");
    if (!s->n_choices && !s->place)
        return FAULT(r, r->line,
                     "the question before has neither choices ('- ' and '+ ') nor an answer ('answer: SET')");
    if (s->n_choices == 1) return FAULT(r, r->line, "the question before has one choice only");
    if (s->n_choices && s->right < 0)
        return FAULT(r, r->line, "no choice of the question before is the right one; it begins with '+ '");
    return 0;
}

int end_step(reader *r) {
    int rc = check_question(r);
    if (!rc) rc = end_act(r);
    if (!rc && r->step && !r->step->before.text[0] && !r->step->question)
        return FAULT(r, r->line, "the step before has no text");
    if (!rc && r->step && r->step->question && !r->step->has_after)
        return FAULT(r, r->line, "the question before has no '--' with what is shown after the answer");
    return rc;
}

int begin_step(reader *r, const char *title, size_t n) {
    int rc = end_step(r);
    if (rc) return rc;
    if (!n) return FAULT(r, title, "a title is missing: == TITLE");
    if (r->l->n_steps == LESSON_MAX_STEPS) return FAULT(r, r->line, "more than %d steps", LESSON_MAX_STEPS);
    r->step = &r->l->steps[r->l->n_steps++];
    *r->step = (lesson_step){.title = keep(r, title, n), .right = -1};
    r->act = &r->step->before;
    r->act->line = r->number;
    r->step->after = (lesson_act){"", "", "", r->number};
    return r->step->title ? 0 : no_memory(r);
}

int begin_after(reader *r) {
    if (r->step->has_after) return FAULT(r, r->line, "a second '--' in one step");
    int rc = check_question(r);
    if (!rc) rc = end_act(r);
    r->step->has_after = true;
    r->act = &r->step->after;
    r->act->line = r->number;
    return rc;
}

static int add_choice(reader *r, const char *value, size_t n, bool right) {
    lesson_step *s = r->step;
    if (s->n_choices == LESSON_MAX_CHOICES)
        return FAULT(r, r->line, "more than %d choices", LESSON_MAX_CHOICES);
    if (!n) return FAULT(r, value, "a choice is empty");
    if (right && s->right >= 0) return FAULT(r, r->line, "a second right choice");
    if (right) s->right = s->n_choices;
    const char *copy = s->choices[s->n_choices++] = keep(r, value, n);
    return copy ? check_text(r, value, copy) : no_memory(r);
}

static int add_answer(reader *r, const char *value, size_t n) {
    int rc = take_text(r, value, n, &r->step->place);
    return rc ? rc : check_set(r, value, r->step->place);
}

static int add_paragraph(reader *r) {
    size_t n;
    const char *s = trimmed(r->line, r->end, &n);
    char *copy = keep(r, s, n);
    int rc = copy ? check_text(r, s, copy) : no_memory(r);
    if (rc) return rc;
    if (r->text.len) strbuf_putc(&r->text, r->gap ? '\n' : ' ');
    strbuf_add(&r->text, s, n);
    r->gap = false;
    return 0;
}

/* A line that begins like a directive and is none is more likely a slip than text. */
static bool looks_like_directive(const reader *r) {
    const char *s = r->line;
    while (s < r->end && *s >= 'a' && *s <= 'z') s++;
    return s > r->line && s < r->end && *s == ':';
}

/* Of a question that was begun in this act. */
static bool choosing(const reader *r) {
    return r->step->question && !r->step->has_after;
}

int step_line(reader *r) {
    const char *v;
    size_t n;
    if (takes(r, "do", &v, &n)) return add_command(r, v, n);
    if (takes(r, "mark", &v, &n)) return add_marks(r, v, n);
    if (takes(r, "ask", &v, &n)) {
        if (r->step->has_after) return FAULT(r, r->line, "a question belongs before '--'");
        int rc = take_text(r, v, n, &r->step->question);
        return rc ? rc : check_text(r, v, r->step->question);
    }
    if (takes(r, "answer", &v, &n)) {
        if (!choosing(r)) return FAULT(r, r->line, "an answer without a question before it ('ask: TEXT')");
        return add_answer(r, v, n);
    }
    if (choosing(r) && r->end - r->line > 1 && (*r->line == '-' || *r->line == '+') && r->line[1] == ' ') {
        v = trimmed(r->line + 2, r->end, &n);
        return add_choice(r, v, n, *r->line == '+');
    }
    if (looks_like_directive(r))
        return FAULT(r, r->line, "unknown; expected do:, mark:, ask:, answer:, '--', '== TITLE' or text");
    if (r->step->question && !r->step->has_after)
        return FAULT(r, r->line, "text between a question and its '--'; text comes before the question");
    return add_paragraph(r);
}
