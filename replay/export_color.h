/* export_color.h - what the colours of pictures stand for: the table of colourings and their ramps.
 *
 * The stops on dark ground are those of the workbench (tui/style.c). On light ground a sequential ramp runs
 * backwards, so that what is large stands out there, too, and the signed ramp has stops of its own whose
 * middle is as light as the page. Colours are 0xRRGGBB.
 */
#ifndef TABES_REPLAY_EXPORT_COLOR_H
#define TABES_REPLAY_EXPORT_COLOR_H

#include "replay/replay.h"

typedef enum export_ramp { EXPORT_EMBER, EXPORT_SEA, EXPORT_SIGNED, N_EXPORT_RAMPS } export_ramp;

typedef struct export_coloring {
    const char *name;  /* as an option's value */
    const char *title; /* in front of the legend */
    const char *help;  /* one line for someone who meets the quantity for the first time */
    export_ramp ramp;  /* of plain: unused */
} export_coloring;

extern const export_coloring export_colorings[N_EXPORT_COLORS];

/* The scale's ends: the same at every state and for all runs of one document. */
typedef struct export_scale {
    double entropy_max; /* nats: ln of the tokens that can be written */
    double tis_clip;    /* 95th percentile of |TIS|; 0 when nothing is scored */
    int order_max;      /* tokens that a run writes, at least 1 */
} export_scale;

/* ERR_NO_MEMORY, or 0. */
int export_scale_of(const trajectory *const *runs, int n, export_scale *out, err *e) MUST_CHECK;

/* A value's place on its ramp, in [0,1]; the signed ramp has its zero at 0.5. */
double export_scale_at(const export_scale *s, export_color c, double value);

/* Colours at equal distances from the lowest value to the highest. */
const uint32_t *export_ramp_stops(export_ramp r, bool dark, int *n);
uint32_t export_ramp_color(export_ramp r, bool dark, double x);

/* Is black text easier to read on this colour than white (WCAG contrast)? */
bool export_wants_black(uint32_t rgb);

#endif
