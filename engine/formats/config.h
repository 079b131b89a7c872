/* config.h - a checkpoint's config.json, or a GGUF file's metadata: typed, bounded reads with one-line
 * errors.
 *
 * Every message names file, key, what was found and what was expected:
 *     DIR/config.json: n_heads: 0, expected a whole number from 1 to 4096
 * A key that is absent or null counts as missing. A dot may lead into a nested object.
 */
#ifndef TABES_FORMATS_CONFIG_H
#define TABES_FORMATS_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "engine/formats/gguf.h"

typedef struct config config;

int config_open(config **out, const char *path, err *e) MUST_CHECK;
/* The values of a file that are not lists, as they would stand in JSON. */
int config_from_gguf(config **out, const gguf *g, err *e) MUST_CHECK;
void config_close(config *c);

const char *config_path(const config *c);

/* The file's own bytes, or the values as JSON in order of key. */
const char *config_text(const config *c, size_t *len);

bool config_has(const config *c, const char *key);

int config_int(const config *c, const char *key, int64_t low, int64_t high, int *out, err *e) MUST_CHECK;
int config_real(const config *c, const char *key, double low, double high, double *out, err *e) MUST_CHECK;
int config_string(const config *c, const char *key, const char **out, err *e) MUST_CHECK;

/* As above, but a missing key leaves *out as it is. */
int config_int_opt(const config *c, const char *key, int64_t low, int64_t high, int *out, err *e) MUST_CHECK;
int config_bool_opt(const config *c, const char *key, bool *out, err *e) MUST_CHECK;

/* A key that, where it is present, must have one value, written as JSON: `true`, `1`, `"silu"`, `null`. */
int config_require(const config *c, const char *key, const char *json, err *e) MUST_CHECK;

#endif
