/* tokenizer.h - text <-> token ids (byte-level BPE), from a directory's tokenizer.json or vocab.json and
 * merges.txt, or from a GGUF file.
 *
 * Encoding: added tokens are matched first (longest, leftmost), the rest is normalised (NFC when the
 * file says so), split by the file's pre-tokenizer pattern (PCRE2) and merged by rank. `<mask>` always
 * stands for the model's mask token, whatever its own text is, and `<mask:12>` for twelve of them. Decoding
 * gives bytes: a token may be half a UTF-8 character.
 */
#ifndef TABES_TOKENIZER_H
#define TABES_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "engine/base/strbuf.h"
#include "engine/trajectory.h"

typedef struct tokenizer tokenizer;

/* Of a checkpoint directory or a GGUF file. ERR_NOT_FOUND when it has none (not an error for many commands).
 */
int tokenizer_load(tokenizer **out, const char *path, err *e) MUST_CHECK;
void tokenizer_close(tokenizer *t);

/* Ids of `n` bytes of text; *ids is malloc'd. mask_id is what `<mask>` means. With `special`, the
 * file's post-processor adds its tokens (BOS). Bytes the vocabulary cannot express: ERR_BAD_ARGUMENT with the
 * byte offset. */
int tokenizer_encode(const tokenizer *t, const char *text, size_t n, int32_t mask_id, bool special,
                     int32_t **ids, int *n_ids, err *e) MUST_CHECK;

/* Appends the bytes of the ids; special tokens are skipped unless keep_special. */
void tokenizer_decode(const tokenizer *t, const int32_t *ids, int n, bool keep_special, strbuf *out);

/* For views and files. The context is the tokenizer. */
token_texts tokenizer_texts(const tokenizer *t);
int tokenizer_vocab_size(const tokenizer *t); /* highest id + 1 */
/* Id of the token with exactly this text, or -1. */
int32_t tokenizer_find(const tokenizer *t, const char *text);
int32_t tokenizer_mask(const tokenizer *t); /* the mask token that the files name, or -1 */
/* The chat template (Jinja) that comes with the files, or NULL. */
const char *tokenizer_chat(const tokenizer *t);
/* What it was read from: "tokenizer.json", "vocab.json and merges.txt", "GGUF metadata". */
const char *tokenizer_source(const tokenizer *t);

/* texts for checkpoints without a tokenizer: every id is "⟨id⟩"-free, i.e. unknown (NULL). */
token_texts tokenizer_no_texts(void);

#endif
