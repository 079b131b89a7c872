/* tokenizer.h - text <-> token ids, from a Hugging Face tokenizer.json (byte-level BPE).
 *
 * Encoding: added tokens are matched first (longest, leftmost), the rest is normalised (NFC when the
 * file says so), split by the file's pre-tokenizer pattern (PCRE2) and merged by rank. `<mask>` always
 * stands for the model's mask token, whatever its own text is. Decoding gives bytes: a token may be half a
 * UTF-8 character.
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

/* DIR/tokenizer.json. ERR_NOT_FOUND when the directory has none (not an error for many commands). */
int tokenizer_load(tokenizer **out, const char *dir, err *e) MUST_CHECK;
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

/* texts for checkpoints without a tokenizer: every id is "⟨id⟩"-free, i.e. unknown (NULL). */
token_texts tokenizer_no_texts(void);

#endif
