/* shards.h - the tensors of a checkpoint, in one file or several.
 *
 * Of a directory: DIR/model.safetensors.index.json, whose "weight_map" names the files beside it, or
 * DIR/model.safetensors, or else every *.safetensors of the directory. Of a GGUF file: that file, and when it
 * is one of a set (NAME-00001-of-0000K.gguf) the others. Tensors of all files form one list in order of name;
 * a name in two files is refused. Which file an index claims for a tensor is not believed, only which files
 * exist.
 */
#ifndef TABES_FORMATS_SHARDS_H
#define TABES_FORMATS_SHARDS_H

#include "engine/base/status.h"
#include "engine/formats/gguf.h"
#include "engine/formats/tensor.h"

typedef struct shards shards;

/* *out is NULL on failure; the message starts with the path of the file at fault. */
int shards_open(shards **out, const char *dir, err *e) MUST_CHECK;
int shards_open_gguf(shards **out, const char *path, err *e) MUST_CHECK;
void shards_close(shards *s);

/* Path to name in messages about the whole: the single file, or the index. */
const char *shards_path(const shards *s);

/* The file with the metadata: the first of the set. NULL for a directory. */
const gguf *shards_gguf(const shards *s);

int shards_count(const shards *s);
const tensor *shards_at(const shards *s, int i);
/* Path of the file that holds tensor i. */
const char *shards_file(const shards *s, int i);
/* Number of the tensor called `name`, or -1. */
int shards_find(const shards *s, const char *name);

#endif
