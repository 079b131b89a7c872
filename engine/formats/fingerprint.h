/* fingerprint.h - 128 bits that tell checkpoints apart (not a cryptographic hash).
 *
 * Over the text of config.json and, in order of name, every tensor's name, dtype, shape and
 * bytes: all bytes while the tensors together are below 64 MB, so that a single changed byte
 * changes the result (how they are spread over files does not); above that 64 evenly spaced blocks of 4096
 * bytes of each tensor, its first and last among them. The two halves are FNV-1a over little-endian 64-bit
 * words with a rotation, from two starting values and with two multipliers, each ended by SplitMix64's
 * finaliser.
 */
#ifndef TABES_FORMATS_FINGERPRINT_H
#define TABES_FORMATS_FINGERPRINT_H

#include <stddef.h>

#include "engine/formats/shards.h"

/* Writes 32 hex digits and a NUL; size >= 33. */
void fingerprint(char *out, size_t size, const char *config, size_t config_len, const shards *f);

#endif
