/* vocab.c - the two hash tables of a tokenizer; linear probing, never more than half full. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/tokenizer/impl.h"

static size_t table_size(size_t n) {
    size_t cap = 16;
    while (cap < 2 * n) cap *= 2;
    return cap;
}

/* FNV-1a. */
static uint64_t hash_text(const char *s, size_t n) {
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)s[i]) * 0x100000001b3u;
    return h ^ (h >> 32);
}

int vocab_map_init(vocab_map *m, size_t n_expected) {
    *m = (vocab_map){.cap = table_size(n_expected)};
    m->slots = mem_new(m->cap, sizeof *m->slots);
    return m->slots ? 0 : ERR_NO_MEMORY;
}

static vocab_slot *vocab_probe(const vocab_map *m, const char *text, size_t len) {
    size_t i = hash_text(text, len) & (m->cap - 1);
    for (;; i = (i + 1) & (m->cap - 1)) {
        vocab_slot *s = &m->slots[i];
        if (!s->text || (s->len == len && !memcmp(s->text, text, len))) return s;
    }
}

bool vocab_map_add(vocab_map *m, const char *text, size_t len, int32_t id) {
    vocab_slot *s = vocab_probe(m, text, len);
    if (s->text) return false;
    *s = (vocab_slot){text, (uint32_t)len, id};
    m->n++;
    return true;
}

int32_t vocab_map_find(const vocab_map *m, const char *text, size_t len) {
    const vocab_slot *s = vocab_probe(m, text, len);
    return s->text ? s->id : -1;
}

int merge_map_init(merge_map *m, size_t n_expected) {
    *m = (merge_map){.cap = table_size(n_expected)};
    m->slots = mem_new(m->cap, sizeof *m->slots);
    if (!m->slots) return ERR_NO_MEMORY;
    for (size_t i = 0; i < m->cap; i++) m->slots[i].left = -1;
    return 0;
}

static merge_slot *merge_probe(const merge_map *m, int32_t left, int32_t right) {
    uint64_t h = ((uint64_t)(uint32_t)left << 32) | (uint32_t)right;
    h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9u;
    size_t i = (h ^ (h >> 31)) & (m->cap - 1);
    for (;; i = (i + 1) & (m->cap - 1)) {
        merge_slot *s = &m->slots[i];
        if (s->left < 0 || (s->left == left && s->right == right)) return s;
    }
}

void merge_map_set(merge_map *m, merge_slot s) {
    *merge_probe(m, s.left, s.right) = s;
}

const merge_slot *merge_map_find(const merge_map *m, int32_t left, int32_t right) {
    const merge_slot *s = merge_probe(m, left, right);
    return s->left < 0 ? NULL : s;
}
