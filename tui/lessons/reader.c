/* reader.c - faults with their place, and the pieces of a line. */
#include "tui/lessons/reader.h"

#include <string.h>

/* Columns count characters, as editors do. */
static int column(const reader *r, const char *at) {
    int n = 1;
    for (const char *s = r->line; s < at; s++) n += (*s & 0xC0) != 0x80;
    return n;
}

int fault(const reader *r, const char *at) {
    return err_prefix(r->e, "%s:%d:%d", r->l->path, r->number, column(r, at)), ERR_BAD_FORMAT;
}

int no_memory(const reader *r) {
    return err_set(r->e, ERR_NO_MEMORY, "%s: out of memory", r->l->path);
}

char *keep(reader *r, const char *s, size_t n) {
    char *copy = arena_new(&r->l->mem, n + 1, 1);
    if (copy) memcpy(copy, s, n);
    return copy;
}

const char *trimmed(const char *s, const char *end, size_t *n) {
    while (s < end && (*s == ' ' || *s == '\t')) s++;
    while (end > s && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r')) end--;
    *n = (size_t)(end - s);
    return s;
}

/* "key: value" at the beginning of a line. */
bool takes(const reader *r, const char *key, const char **value, size_t *n) {
    size_t len = strlen(key);
    if ((size_t)(r->end - r->line) <= len || memcmp(r->line, key, len) || r->line[len] != ':') return false;
    *value = trimmed(r->line + len + 1, r->end, n);
    return true;
}

int take_text(reader *r, const char *value, size_t n, const char **out) {
    if (*out) return FAULT(r, r->line, "this is given a second time");
    if (!n) return FAULT(r, value, "nothing is given");
    *out = keep(r, value, n);
    return *out ? 0 : no_memory(r);
}
