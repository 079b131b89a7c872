/* fingerprint.c - see the header for what is hashed. */
#include "engine/formats/fingerprint.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define WHOLE_BYTES ((size_t)64 << 20)
enum { BLOCKS = 64, BLOCK = 4096 };

typedef struct hash {
    uint64_t a, b;
} hash;

static uint64_t rotate(uint64_t x, int by) {
    return x << by | x >> (64 - by);
}

static void add_word(hash *h, uint64_t w) {
    h->a = rotate(h->a ^ w, 29) * 0x100000001b3ull; /* FNV's prime */
    h->b = rotate(h->b ^ w, 41) * 0x9e3779b97f4a7c15ull;
}

static uint64_t word_at(const unsigned char *p) {
    uint64_t w = 0;
    for (int i = 7; i >= 0; i--) w = w << 8 | p[i];
    return w;
}

/* The length goes in too, so that neighbouring pieces cannot trade bytes. */
static void add_bytes(hash *h, const void *data, size_t n) {
    const unsigned char *p = data;
    unsigned char tail[8] = {0};
    add_word(h, n);
    for (; n >= 8; n -= 8, p += 8) add_word(h, word_at(p));
    if (n) memcpy(tail, p, n);
    if (n) add_word(h, word_at(tail));
}

static void add_sampled(hash *h, const unsigned char *p, size_t n) {
    if (n <= (size_t)BLOCKS * BLOCK) {
        add_bytes(h, p, n);
        return;
    }
    size_t step = (n - BLOCK) / (BLOCKS - 1);
    for (size_t i = 0; i < BLOCKS - 1; i++) add_bytes(h, p + i * step, BLOCK);
    add_bytes(h, p + n - BLOCK, BLOCK);
}

static uint64_t finish(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

void fingerprint(char *out, size_t size, const char *config, size_t config_len, const shards *f) {
    hash h = {0xcbf29ce484222325ull, 0x6c62272e07bb0142ull};
    size_t total = 0;
    add_bytes(&h, config, config_len);
    for (int i = 0; i < shards_count(f); i++) total += shards_at(f, i)->bytes;
    for (int i = 0; i < shards_count(f); i++) {
        const tensor *t = shards_at(f, i);
        add_bytes(&h, t->name, strlen(t->name));
        add_bytes(&h, t->dtype, strlen(t->dtype));
        for (int k = 0; k < t->n_dims; k++) add_word(&h, (uint64_t)t->shape[k]);
        if (total < WHOLE_BYTES)
            add_bytes(&h, t->data, t->bytes);
        else
            add_sampled(&h, t->data, t->bytes);
    }
    snprintf(out, size, "%016llx%016llx", (unsigned long long)finish(h.a), (unsigned long long)finish(h.b));
}
