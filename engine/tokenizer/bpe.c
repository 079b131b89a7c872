/* bpe.c - merging by rank: a linked list of symbols and a heap of the pairs that could merge.
 *
 * The pair of lowest rank merges first, the leftmost of equals. A heap entry names the two ids it saw; when
 * either has changed since, the entry is stale and is dropped. So a pre-token of n bytes costs O(n log n),
 * whatever its length.
 */
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/tokenizer/impl.h"

bool id_list_add(id_list *l, int32_t id) {
    void *v = l->v;
    if (!mem_grow(&v, &l->cap, l->n + 1, sizeof *l->v)) return false;
    l->v = v;
    l->v[l->n++] = id;
    return true;
}

void bpe_release(bpe_scratch *b) {
    free(b->symbols);
    free(b->heap);
    strbuf_release(&b->mapped);
    *b = (bpe_scratch){0};
}

/* The heap ------------------------------------------------------------ */

static bool before(const bpe_candidate *a, const bpe_candidate *b) {
    return a->rank < b->rank || (a->rank == b->rank && a->at < b->at);
}

static void swap(bpe_candidate *a, bpe_candidate *b) {
    bpe_candidate t = *a;
    *a = *b;
    *b = t;
}

static bool heap_push(bpe_scratch *b, bpe_candidate c) {
    void *v = b->heap;
    if (!mem_grow(&v, &b->cap_heap, b->n_heap + 1, sizeof *b->heap)) return false;
    b->heap = v;
    size_t i = b->n_heap++;
    b->heap[i] = c;
    for (; i && before(&b->heap[i], &b->heap[(i - 1) / 2]); i = (i - 1) / 2)
        swap(&b->heap[i], &b->heap[(i - 1) / 2]);
    return true;
}

static bpe_candidate heap_pop(bpe_scratch *b) {
    bpe_candidate top = b->heap[0];
    b->heap[0] = b->heap[--b->n_heap];
    for (size_t i = 0;;) {
        size_t first = i, left = 2 * i + 1, right = left + 1;
        if (left < b->n_heap && before(&b->heap[left], &b->heap[first])) first = left;
        if (right < b->n_heap && before(&b->heap[right], &b->heap[first])) first = right;
        if (first == i) return top;
        swap(&b->heap[i], &b->heap[first]);
        i = first;
    }
}

/* Symbols ------------------------------------------------------------- */

static bool add_symbol(bpe_scratch *b, int32_t id) {
    void *v = b->symbols;
    if (!mem_grow(&v, &b->cap_symbols, b->n_symbols + 1, sizeof *b->symbols)) return false;
    b->symbols = v;
    int i = (int)b->n_symbols++;
    b->symbols[i] = (bpe_symbol){.id = id, .prev = i - 1, .next = -1};
    if (i) b->symbols[i - 1].next = i;
    return true;
}

static int no_memory(err *e) {
    return err_set(e, ERR_NO_MEMORY, "out of memory while encoding text");
}

static int cannot_express(const tokenizer *t, piece p, size_t at, size_t step, size_t *bad, err *e) {
    *bad = at;
    unsigned char byte = (unsigned char)p.s[at];
    if (!t->byte_level || (byte >= 0x20 && byte < 0x7f)) {
        return err_set(e, ERR_BAD_ARGUMENT, "the vocabulary has no token for '%.*s'", (int)step, p.s + at);
    }
    return err_set(e, ERR_BAD_ARGUMENT, "the vocabulary has no token for byte 0x%02X", byte);
}

/* One symbol per byte, or per character where the file does not use the byte alphabet. */
static int init_symbols(const tokenizer *t, bpe_scratch *b, piece p, size_t *bad, err *e) {
    b->n_symbols = 0;
    b->n_heap = 0;
    for (size_t i = 0, step; i < p.n; i += step) {
        int32_t cp, id;
        step = t->byte_level ? 1 : utf8_char(p.s + i, p.n - i, &cp);
        if (!step) step = 1;
        id = t->byte_level ? t->byte_ids[(unsigned char)p.s[i]] : vocab_map_find(&t->vocab, p.s + i, step);
        if (id < 0 && t->unk_id < 0) return cannot_express(t, p, i, step, bad, e);
        if (id < 0 && t->fuse_unk && b->n_symbols && b->symbols[b->n_symbols - 1].id == t->unk_id) continue;
        if (!add_symbol(b, id < 0 ? t->unk_id : id)) return no_memory(e);
    }
    return 0;
}

/* Offers the pair (at, its right neighbour) to the heap if it can merge. */
static bool offer(const tokenizer *t, bpe_scratch *b, int at) {
    if (at < 0 || b->symbols[at].next < 0) return true;
    int32_t left = b->symbols[at].id, right = b->symbols[b->symbols[at].next].id;
    const merge_slot *m = merge_map_find(&t->merges, left, right);
    return !m || heap_push(b, (bpe_candidate){.rank = m->rank, .at = at, .left = left, .right = right});
}

static bool merge_all(const tokenizer *t, bpe_scratch *b) {
    for (size_t i = 0; i < b->n_symbols; i++) {
        if (!offer(t, b, (int)i)) return false;
    }
    while (b->n_heap) {
        bpe_candidate c = heap_pop(b);
        bpe_symbol *s = &b->symbols[c.at];
        if (s->id != c.left || s->next < 0 || b->symbols[s->next].id != c.right) continue;
        bpe_symbol *gone = &b->symbols[s->next];
        s->id = merge_map_find(&t->merges, c.left, c.right)->merged;
        s->next = gone->next;
        if (s->next >= 0) b->symbols[s->next].prev = c.at;
        gone->id = -1;
        if (!offer(t, b, s->prev) || !offer(t, b, c.at)) return false;
    }
    return true;
}

/* The token whose text is the whole piece, or -1. */
static int32_t whole_piece(const tokenizer *t, bpe_scratch *b, piece p) {
    if (!t->byte_level) return vocab_map_find(&t->vocab, p.s, p.n);
    if (!b->mapped.data) strbuf_init(&b->mapped, SIZE_MAX / 4);
    strbuf_clear(&b->mapped);
    for (size_t i = 0; i < p.n; i++) {
        char c[2];
        strbuf_add(&b->mapped, c, (size_t)byte_to_char((unsigned char)p.s[i], c));
    }
    return b->mapped.failed ? -1 : vocab_map_find(&t->vocab, b->mapped.data, b->mapped.len);
}

int bpe_encode(const tokenizer *t, bpe_scratch *b, piece p, id_list *out, size_t *bad, err *e) {
    *bad = 0;
    if (t->ignore_merges) {
        int32_t id = whole_piece(t, b, p);
        if (id >= 0) return id_list_add(out, id) ? 0 : no_memory(e);
        if (b->mapped.failed) return no_memory(e);
    }
    int rc = init_symbols(t, b, p, bad, e);
    if (rc) return rc;
    if (!merge_all(t, b)) return no_memory(e);
    for (int i = b->n_symbols ? 0 : -1; i >= 0; i = b->symbols[i].next) {
        if (!id_list_add(out, b->symbols[i].id)) return no_memory(e);
    }
    return 0;
}
