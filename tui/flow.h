/* flow.h - where each token stands on the canvas.
 *
 * Newlines break lines. When every token is one column wide (a Sudoku, arithmetic) tokens stand in
 * slots of equal width, so that the canvas reads as a grid; otherwise they flow at their own width
 * and masked positions are three columns. Characters split over tokens are joined: the token with
 * the first byte owns the glyph, the others share its place. Runs of one special token fold into
 * "<eos>×N". Coordinates are in canvas lines; scrolling is the view's.
 */
#ifndef TABES_TUI_FLOW_H
#define TABES_TUI_FLOW_H

#include "engine/trajectory.h"
#include "tui/text.h"

typedef struct flow_glyph {
    glyph g;
    int x, y;
    bool mark; /* stands for something else: newline, tab, a space that no gap shows, special token, unknown
                  id */
} flow_glyph;

typedef struct flow_slot {
    int x, y, w;      /* w on the first line; at least 1 */
    int owner;        /* the position whose place this is: itself, or the one it is joined to */
    int first, count; /* glyphs */
    bool masked, special;
} flow_slot;

typedef struct flow {
    int n, lines, width;
    int grid; /* slot width in columns, 0 when tokens flow at their own width */
    flow_slot *slots;
    flow_glyph *glyphs;
    int n_glyphs;
    size_t cap_slots, cap_glyphs; /* private */
} flow;

typedef struct flow_input {
    const int32_t *tokens;
    int n, width;
    int32_t mask_id;
    token_texts texts;
} flow_input;

/* Rebuilds in place; zeroed storage is empty. */
int flow_build(flow *f, const flow_input *in, err *e) MUST_CHECK;
void flow_release(flow *f);

/* Position drawn at a cell, or the nearest one on that line; -1 when the canvas is empty. */
int flow_at(const flow *f, int x, int y);

/* Text of one token for tables: spaces as a middle dot, newline as a mark; UTF-8, at most `size` bytes. */
const char *flow_token_text(token_texts texts, int32_t id, int32_t mask_id, char *buf, int size);

#endif
