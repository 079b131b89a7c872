/* denoiser.h - the only thing a policy sees of a model.
 *
 * A denoiser maps a batch of sequences (token ids, with embeddings optionally injected at
 * positions) to logits of the rows asked for and, from a saved pass, to
 *   - gradients of weighted sums of row entropies with respect to chosen input embeddings,
 *     through chosen active rows (ActiveQueryAttention, Eq. 30),
 *   - the entropies after a row-restricted lookahead (boe.md "rows"), and
 *   - the attention probabilities of one row.
 * Row i of anything here is *the row that predicts position i*: shifted models (Dream) are
 * handled inside, through denoiser_emit(). The mask token's logit is -inf everywhere.
 *
 *     denoiser *d;  pass *p = pass_new();
 *     denoiser_load(&d, "examples/models/sudoku", &(denoiser_opts){.device = "auto"}, &e);
 *     forward_req q = {.seqs = &seq, .n_seqs = 1, .rows = rows, .n_rows = n, .keep = true};
 *     denoiser_forward(d, &q, p, &e);
 *     pass_stats(p, 0)->entropy ...
 *     pass_free(p);  denoiser_close(d);
 *
 * A denoiser belongs to one thread at a time; its weights are read-only once open, and forks of
 * it work on the same weights in other threads. A pass holds the activations of one forward and
 * may be reused; it must not outlive its denoiser.
 */
#ifndef TABES_DENOISER_H
#define TABES_DENOISER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "engine/texts.h"
#include "kernels/kernels.h"

typedef struct denoiser denoiser;
typedef struct pass pass;

typedef struct denoiser_info {
    char arch[24];        /* "llada", "dream", "mdlm", "qwen2", ...; "fake" */
    char name[128];       /* last path component of the checkpoint */
    char fingerprint[40]; /* 32 hex digits over config and all weights' names, shapes and sampled bytes */
    char dtype[8];        /* of most weights as stored: "F32", "BF16", "F16", "Q4_K", ... */
    int n_vocab;          /* rows of the head, the mask's among them, without padding that was cut off */
    int d_model, n_layers, n_heads, n_kv_heads, mlp_size;
    int max_len;                             /* longest sequence */
    int32_t mask_id, bos_id, eos_id, pad_id; /* -1 where the checkpoint names none; mask_id is always set */
    int32_t turn_end_id;                     /* of the chat template that comes with it; -1 without one */
    bool shifted;                            /* position p reads network row max(p-1, 0) */
    int64_t n_params;
    size_t weight_bytes;         /* as stored */
    size_t type_bytes[K_DTYPES]; /* of the weights, by storage type */
    char device[16];             /* "cpu", "cuda:0" */
    char device_title[80];       /* "NVIDIA H200"; the processor's name */
    char precision[8];           /* of what enters products: "f32", "bf16" */
    char device_note[256];       /* why "auto" did not take the GPU that is there; else "" */
    bool overlaps;               /* forks compute at the same time rather than in each other's way */
} denoiser_info;

/* Where and how to run. All zero: on the CPU. */
typedef struct denoiser_opts {
    /* "cpu", "cuda", "cuda:N", or "auto": a GPU when one is there, the model is large enough to gain
     * from it (DENOISER_AUTO_BYTES of weights) and it fits; NULL: cpu. */
    const char *device;
    /* BF16: on a GPU activations are bfloat16, on the CPU they are rounded to it where a product with weights
     * takes them, and so are the weights. AUTO: float32 for F32 checkpoints, for small ones (256 MiB as
     * float32) on the CPU and on a processor without the instructions, else bfloat16. */
    k_precision precision;
    /* Called while weights go to a device, and once at the end with done == total. May be NULL. */
    void (*progress)(void *ctx, size_t done, size_t total);
    void *ctx;
    /* Rows of a kept pass that have to fit beside the weights; 0: 512, or the context if that is
     * shorter. A device without that much free memory is refused before anything is read. */
    int plan_rows;
    /* What a checkpoint may not say, or say wrongly. */
    bool has_mask;      /* mask_id stands, whatever the checkpoint says */
    bool has_mask_hint; /* mask_hint stands when the checkpoint names no mask: its tokenizer's */
    int32_t mask_id, mask_hint;
    int shift; /* above 0: row p predicts position p+1; below 0: position p; 0: as the checkpoint says */
    /* Ids from here on stand for no token (padding rows): they are never predicted, like the mask. 0: none.
     */
    int n_tokens;
} denoiser_opts;

#define DENOISER_AUTO_BYTES ((size_t)64 << 20)

typedef struct sequence {
    const int32_t *tokens;
    int n;
} sequence;

/* Replace the embedding of sequence `seq` at `pos` by `vector` [d_model] (borrowed). */
typedef struct injection {
    int seq, pos;
    const float *vector;
} injection;

/* The row that predicts position `pos` of sequence `seq`. */
typedef struct row_ref {
    int seq, pos;
} row_ref;

typedef struct forward_req {
    const sequence *seqs; /* lengths may differ between sequences */
    int n_seqs;
    const injection *inject;
    int n_inject;
    const row_ref *rows; /* logits are computed for these rows only */
    int n_rows;
    bool keep;       /* save what backward, restricted and attention need */
    bool keep_asked; /* with keep: a backward takes rows from the first to the last of `rows` only */
    /* Whole rows of logits will be read, or the pass guided: they are stored. Otherwise they may be computed
     * again for pass_read, which costs their share of the head. */
    bool whole_rows;
    const atomic_bool *cancel; /* may be NULL; checked between layers -> ERR_CANCELLED */
    /* Approximate: only the rows at `recompute` (positions, ascending, unique, emit rows included) are
     * computed. Of all others they read the keys and values that `over` has, a kept pass of one sequence as
     * long as the only one here. Rows asked for that are not recomputed are those of `over`, which must have
     * been asked for them and must stay as it is while the new pass is used. Not together with `inject` and
     * `keep`. NULL: everything is computed. */
    const pass *over;
    const int *recompute;
    int n_recompute;
} forward_req;

/* Gradients g[s][w] = ∂(Σ_r weights[s][r]·H_r)/∂e_{wrt[w]} for sequence `seq` of a kept pass. */
typedef struct backward_req {
    int seq;
    int n_seeds;
    const float *weights; /* [n_seeds][n_rows of the pass]; rows of other sequences are ignored */
    const int
        *active; /* positions of A, ascending, unique (emit rows already included); NULL: every row (dense) */
    int n_active;
    const int *wrt; /* positions; must be members of A */
    int n_wrt;
    bool local; /* row-local: dK and dV reach only the row itself */
    const atomic_bool *cancel;
} backward_req;

/* One row-restricted lookahead: `vector` injected at `pos`; only rows `recompute` (positions,
 * ascending, unique, pos and emit rows included) are recomputed, all others keep the layer inputs
 * of the kept pass. Entropies of the rows that predict `want` are returned. */
typedef struct restricted_case {
    int pos;
    const float *vector;
    const int *recompute;
    int n_recompute;
    const int *want; /* positions whose emit rows are in `recompute` */
    int n_want;
} restricted_case;

typedef struct restricted_req {
    int seq;
    const restricted_case *cases;
    int n_cases;
    const atomic_bool *cancel;
} restricted_req;

/* Open a checkpoint: a Hugging Face directory (config.json + model.safetensors, or its shards) or a GGUF file
 * (or one of a set), of the kinds that docs/formats.md lists. o may be NULL: the CPU. *out is NULL on failure
 * and the message names file and cause, or the device, the memory that is needed and the memory that is free
 * (ERR_NO_DEVICE, ERR_NO_MEMORY). */
int denoiser_load(denoiser **out, const char *path, const denoiser_opts *o, err *e) MUST_CHECK;
void denoiser_close(denoiser *d);

/* Names the token that ends a turn (denoiser_info.turn_end_id), which only a tokenizer knows. */
void denoiser_set_turn_end(denoiser *d, int32_t id);

/* Another denoiser over the same weights with a workspace and a device queue of its own, for another
 * thread. Close forks before the denoiser they came from. */
int denoiser_fork(denoiser **out, denoiser *d, err *e) MUST_CHECK;

/* Memory of the device it runs on; zeros on the CPU. */
void denoiser_memory(denoiser *d, k_memory *out);

/* Bytes that a session of `rows` tokens needs: weights as they lie in memory (of a mapped file: all its
 * pages), and a kept pass with its logits and workspace. 0 where an implementation cannot tell. */
typedef struct denoiser_room {
    size_t weights, pass;
} denoiser_room;
denoiser_room denoiser_needs(const denoiser *d, int rows);

const denoiser_info *denoiser_get_info(const denoiser *d);

/* What its tokens stand for, for policies that look at text: set by whoever opens the model, before forks;
 * .text is NULL until then. Borrowed. */
void denoiser_set_texts(denoiser *d, token_texts texts);
token_texts denoiser_texts(const denoiser *d);

/* Network row whose logits predict position `pos`. */
int denoiser_emit(const denoiser *d, int pos);

/* Embedding row of a token -> out[d_model]. */
void denoiser_embedding(const denoiser *d, int32_t token, float *out);

/* Run the network. On failure (cancelled, NaN met, out of memory, device lost, too long) the pass is empty
 * and the denoiser may be used again, a lost device excepted (ERR_NO_DEVICE). NaN is reported with layer and
 * row. Counts n_seqs forwards. */
int denoiser_forward(denoiser *d, const forward_req *q, pass *p, err *e) MUST_CHECK;

/* Whether sequences a and b may be in one forward, and each then gets the very bits that it gets by itself:
 * logits and statistics where the rows of both are asked for, and what backward, restricted and attention
 * make of a kept pass. False wherever it is not known. */
bool denoiser_batches(const denoiser *d, const sequence *a, const sequence *b);

/* grads: [n_seeds][n_wrt][d_model]. `counts` is added to (kernels' own row counts). */
int denoiser_backward(denoiser *d, const pass *p, const backward_req *q, float *grads, k_counts *counts,
                      err *e) MUST_CHECK;

/* entropies: the n_want values of each case, one case after the other. */
int denoiser_restricted(denoiser *d, const pass *p, const restricted_req *q, double *entropies,
                        err *e) MUST_CHECK;

/* Attention of the row that predicts position `pos` of sequence `seq`, in one layer of a kept pass:
 * softmax_j(q·k_j/√d_head) over all positions j of that sequence -> out [n_heads][tokens of the sequence].
 * Each head's row sums to 1, up to float32. Entry j belongs to the input at j, whatever the model's shift.
 * Reads the sequence's keys of one layer from the device and computes on the host: no forward is counted.
 * On failure `out` holds nothing of use. */
int denoiser_attention(denoiser *d, const pass *p, int seq, int pos, int layer, float *out,
                       err *e) MUST_CHECK;

/* Soft writes ẽ = Eᵀπ (Eq. 10) of rows[0..n) (indices into the pass's rows) -> out [n][d_model]. */
int denoiser_soft_write(denoiser *d, const pass *p, const int *rows, int n, float *out, err *e) MUST_CHECK;

/* Classifier-free guidance: the pass is of two sequences with the same n rows each, conditional ones first.
 * Their logits become z_u + (s+1)(z_c - z_u), and rows [0, n) and their statistics are those from now on. It
 * must have been asked for whole rows. */
int pass_guide(pass *p, double s, err *e) MUST_CHECK;

pass *pass_new(void);
void pass_free(pass *p);
/* Makes `view`, from pass_new and never run, sequence `seq` of a pass as a pass of that sequence alone: it
 * reads the rows, logits and kept activations of the whole, whose rows of one sequence stand together and
 * which lies in host memory. Good until the whole is run again or freed, and for everything but `over` and
 * pass_guide; never run, and only made a view again or freed. */
void pass_view(pass *view, const pass *whole, int seq);
int pass_n_rows(const pass *p);
row_ref pass_row(const pass *p, int row);
const k_row_stats *pass_stats(const pass *p, int row);
/* The k <= K_TOP most probable tokens of a row, best first, lower id on ties; returns how many (<= k). */
int pass_top(const pass *p, int row, int k, int32_t *ids, double *probs);

/* Bring the logits of rows[n] (NULL: of all rows) to the host, where pass_logits finds them until the next
 * forward. Costs nothing where the CPU has stored them (forward_req.whole_rows); elsewhere 4·n_vocab bytes a
 * row and copying or computing it, so ask only for what is looked at. */
int pass_read(const pass *p, const int *rows, int n, err *e) MUST_CHECK;
/* [n_vocab], mask column -inf; after pass_read, and good until the next one of this pass. */
const float *pass_logits(const pass *p, int row);

#endif
