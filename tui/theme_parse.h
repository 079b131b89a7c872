/* theme_parse.h - private to the theme: a file as it was written, before depths are filled in.
 *
 * A draft's colour is -1 (default), 0..255, or DRAFT_RGB | 0xRRGGBB. Lines without a depth stand at
 * MODE_DIRECT.
 */
#ifndef TABES_TUI_THEME_PARSE_H
#define TABES_TUI_THEME_PARSE_H

#include <stdbool.h>

#include "tui/theme.h"

enum { DRAFT_RGB = 0x1000000 };

typedef struct draft_look {
    bool given;
    int fg, bg;
    unsigned attr;
} draft_look;

typedef struct draft_ramp {
    bool given, steps;
    int n; /* 0 when given: no colours */
    int stop[THEME_MAX_STOPS];
} draft_ramp;

typedef struct theme_draft {
    char about[THEME_MAX_ABOUT];
    int background, foreground; /* -1: not given */
    draft_look role[N_MODES][N_STYLES];
    draft_ramp ramp[N_MODES][N_RAMPS];
} theme_draft;

int theme_parse_draft(theme_draft *d, const char *text, size_t n, const char *what, err *e) MUST_CHECK;

#endif
