/* format.h - what writer, reader and export share: the schema's name, limits, and trees of the three line
 * types. replay/FORMAT.md describes the fields. */
#ifndef TABES_REPLAY_FORMAT_H
#define TABES_REPLAY_FORMAT_H

#include "replay/json.h"
#include "replay/replay.h"

#define SCHEMA_NAME    "tabes-trajectory"
#define SCHEMA_VERSION "1.2"
enum {
    SCHEMA_MAJOR = 1,
    MAX_VOCAB = 1 << 21,
    MAX_TOKENS = 1 << 20,
    MAX_STEPS = 1 << 20,
    MAX_PLANNED = 16 * MAX_STEPS, /* T: policies that put tokens back plan several steps for each */
    MAX_LINE = 16 << 20,          /* bytes; the tree of a line takes up to 32 times that */
    MAX_TOKEN_TEXT = 4096,        /* bytes of one token's text */
    MAX_NOTE = 4096,              /* bytes of a note */
    MAX_BANS = 4096,
    ALL_TEXTS = 4096 /* vocabularies up to this size are in the header whole */
};
#define MAX_COST 1e15 /* NFE or milliseconds of a step; far above any */

/* Texts of a file's tokens, and the fields that this version does not know, so that they can be written back.
 */
typedef struct token_text {
    const char *bytes; /* NULL: unknown */
    size_t n;
    bool special;
} token_text;

struct replay_texts {
    token_text *of; /* [n_vocab] */
    int n_vocab;
    arena mem;
    const char *version;                                                   /* as the file's header says */
    const char *header_extra, *model_extra, *params_extra, *closing_extra; /* JSON objects, or NULL */
};

/* The `text` function of a loaded file; its context is a struct replay_texts. */
const char *replay_text(const void *ctx, int32_t id, size_t *len, bool *special);

/* The kept fields behind a trajectory that came from a file, or NULL. */
const struct replay_texts *replay_kept(token_texts texts);

/* Which ids have been given a text so far. */
typedef struct text_log {
    token_texts texts;
    bool *seen; /* [n_vocab] */
    int n_vocab;
} text_log;

/* Trees; NULL and json_out_check fails when they could not be made. */
cJSON *format_header(json_out *o, const traj_header *h, text_log *log);
cJSON *format_step(json_out *o, const step_record *r, text_log *log);
cJSON *format_closing(json_out *o, const trajectory *t);

/* Appends a whole trajectory to what was written to fd; after a failure the file is of no use. */
int replay_write_fd(int fd, const trajectory *t, const char *path, err *e) MUST_CHECK;

/* Text of an id, or NULL. */
const char *format_text(token_texts texts, int32_t id, size_t *n, bool *special);

#endif
