/* head.c - what a lesson is about and what it opens. */
#include <string.h>

#include "engine/policy.h"
#include "tui/lessons/reader.h"

/* Beside the lesson, unless it is a name that the program brings. */
static const char *beside(reader *r, const char *value, size_t n) {
    const char *slash = strrchr(r->l->path, '/');
    size_t folder = slash && *value != '/' ? (size_t)(slash - r->l->path) + 1 : 0;
    char *path = arena_new(&r->l->mem, folder + n + 1, 1);
    if (!path) return NULL;
    memcpy(path, r->l->path, folder);
    memcpy(path + folder, value, n);
    return path;
}

static int take_path(reader *r, const char *value, size_t n, const char **out) {
    int rc = take_text(r, value, n, out);
    if (!rc) *out = beside(r, value, n);
    return rc || *out ? rc : no_memory(r);
}

/* A bundled name, or a folder beside the lesson. */
static int take_model(reader *r, const char *value, size_t n) {
    return memchr(value, '/', n) ? take_path(r, value, n, &r->l->model)
                                 : take_text(r, value, n, &r->l->model);
}

static int take_policies(reader *r, const char *value, size_t n) {
    for (const char *at = value, *end = value + n; at < end;) {
        const char *stop = memchr(at, ',', (size_t)(end - at));
        size_t len;
        const char *name = trimmed(at, stop ? stop : end, &len);
        char *copy = keep(r, name, len);
        if (!copy) return no_memory(r);
        if (!policy_find(copy))
            return FAULT(r, name, "'%.40s' is no policy; expected some of %s", copy, policy_names());
        if (r->l->n_policies == LESSON_MAX_PANES)
            return FAULT(r, name, "more than %d policies", LESSON_MAX_PANES);
        r->l->policies[r->l->n_policies++] = copy;
        at = stop ? stop + 1 : end;
    }
    return 0;
}

static int take_replay(reader *r, const char *value, size_t n) {
    if (r->l->n_replays == LESSON_MAX_PANES)
        return FAULT(r, value, "more than %d recordings", LESSON_MAX_PANES);
    return take_path(r, value, n, &r->l->replays[r->l->n_replays++]);
}

static int take_number(reader *r, const char *value, size_t n, uint64_t most, uint64_t *out) {
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned d = (unsigned)(value[i] - '0');
        if (d > 9 || v > (most - d) / 10)
            return FAULT(r, value, "expected a number of 0 to %llu", (unsigned long long)most);
        v = v * 10 + d;
    }
    if (!n) return FAULT(r, value, "a number is missing");
    *out = v;
    return 0;
}

static int take_setting(reader *r, const char *value, size_t n) {
    lesson *l = r->l;
    size_t len = 0, rest;
    while (len < n && value[len] != ' ' && value[len] != '\t') len++;
    const char *v = trimmed(value + len, value + n, &rest);
    if (!len || !rest) return FAULT(r, value, "expected: set: PARAMETER VALUE");
    if (l->n_settings == LESSON_MAX_SETTINGS)
        return FAULT(r, value, "more than %d parameters", LESSON_MAX_SETTINGS);
    l->settings[l->n_settings] = (lesson_setting){keep(r, value, len), keep(r, v, rest)};
    const lesson_setting *s = &l->settings[l->n_settings++];
    return s->name && s->value ? 0 : no_memory(r);
}

static int take_int(reader *r, const char *value, size_t n, int *out) {
    uint64_t number = 0;
    int rc = take_number(r, value, n, 100000, &number);
    *out = (int)number;
    return rc;
}

int head_line(reader *r) {
    lesson *l = r->l;
    const char *v;
    size_t n;
    if (takes(r, "order", &v, &n)) return take_int(r, v, n, &l->order);
    if (takes(r, "length", &v, &n)) return take_int(r, v, n, &l->length);
    if (takes(r, "title", &v, &n)) return take_text(r, v, n, &l->title);
    if (takes(r, "about", &v, &n)) return take_text(r, v, n, &l->about);
    if (takes(r, "model", &v, &n)) return take_model(r, v, n);
    if (takes(r, "prompt", &v, &n)) return take_text(r, v, n, &l->prompt);
    if (takes(r, "prompt-file", &v, &n)) return take_path(r, v, n, &l->prompt_file);
    if (takes(r, "policies", &v, &n)) return take_policies(r, v, n);
    if (takes(r, "replay", &v, &n)) return take_replay(r, v, n);
    if (takes(r, "set", &v, &n)) return take_setting(r, v, n);
    if (takes(r, "seed", &v, &n)) return take_number(r, v, n, UINT64_MAX, &l->seed);
    return FAULT(
        r, r->line,
        "unknown; expected title:, about:, order:, model:, prompt:, prompt-file:, length:, policies:, set:, "
        "seed:, replay: or '== TITLE'");
}

int end_head(reader *r) {
    const lesson *l = r->l;
    if (!l->title) return FAULT(r, r->line, "the lesson has no title (title: TEXT)");
    if (!l->about) return FAULT(r, r->line, "the lesson says not what it is about (about: TEXT)");
    if (l->n_replays && (l->prompt || l->prompt_file || l->n_policies || l->length || l->n_settings))
        return FAULT(r, r->line, "recordings bring their own prompt, length, policies and parameters");
    if (!l->n_replays && !l->model) return FAULT(r, r->line, "nothing to open: give model: or replay:");
    if (l->prompt && l->prompt_file) return FAULT(r, r->line, "give prompt: or prompt-file:");
    if (!l->n_replays && !l->n_policies) return FAULT(r, r->line, "policies: is missing");
    if (!l->n_replays && !l->length && !l->prompt && !l->prompt_file)
        return FAULT(r, r->line, "nothing to unmask: give prompt:, prompt-file: or length:");
    return 0;
}
