/* safetensors.h - read one .safetensors file.
 *
 * The file is mapped, its header parsed and checked whole before anything is handed out:
 * the header fits the file, names are unique, every range agrees with dtype and shape, and
 * the ranges tile the data exactly. Tensors point into the mapping and live until close.
 * The file must not be truncated by others while it is open.
 */
#ifndef TABES_FORMATS_SAFETENSORS_H
#define TABES_FORMATS_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "engine/formats/tensor.h"

typedef struct safetensors safetensors;

/* *out is NULL on failure; the message starts with the path. */
int safetensors_open(safetensors **out, const char *path, err *e) MUST_CHECK;
void safetensors_close(safetensors *s);

/* NULL when there is no such tensor. */
const tensor *safetensors_find(const safetensors *s, const char *name);

/* Tensors in order of name. */
int safetensors_count(const safetensors *s);
const tensor *safetensors_at(const safetensors *s, int i);
const char *safetensors_path(const safetensors *s);

#endif
