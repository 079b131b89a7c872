/* style.h - names for looks, and the ramps of the colour layers.
 *
 * Views use role names; the palette's theme (theme.h) maps them to what the terminal can do. A colour is a
 * terminal colour number: -1 for the screen's own (style_screen), 0..255 of the xterm palette, or 0xRRGGBB in
 * direct mode. Every role has an attribute or a sign beside its colour, so that nothing is told by colour
 * alone.
 */
#ifndef TABES_TUI_STYLE_H
#define TABES_TUI_STYLE_H

#include <stdbool.h>
#include <stdint.h>

typedef enum color_mode { MODE_NONE, MODE_8, MODE_16, MODE_256, MODE_DIRECT, N_MODES } color_mode;

enum { ATTR_BOLD = 1, ATTR_DIM = 2, ATTR_UNDER = 4, ATTR_REVERSE = 8, ATTR_ITALIC = 16 };

typedef struct style {
    int fg, bg;
    unsigned attr;
} style;

typedef enum style_role {
    STYLE_PLAIN,
    STYLE_DIM,    /* labels, rules, what is less important */
    STYLE_STRONG, /* the numbers one came for */
    STYLE_TITLE,  /* the top line */
    STYLE_RUN_A,  /* run A: sky */
    STYLE_RUN_B,  /* run B: orange */
    STYLE_RUN_C,  /* runs C and D */
    STYLE_RUN_D,
    STYLE_MASKED,    /* a position still to be written */
    STYLE_CANDIDATE, /* a masked position that the policy considers now */
    STYLE_NEXT,      /* what the next step writes */
    STYLE_PROMPT,
    STYLE_WRITTEN,
    STYLE_FRESH,  /* written by the step that led here */
    STYLE_FORCED, /* written by hand */
    STYLE_PINNED, /* the sign of a pinned position, or of a banned token */
    STYLE_DIFFER, /* the panes disagree here */
    STYLE_MARK,   /* newline and space marks, folded special tokens */
    STYLE_KEY,    /* a key in hints and help */
    STYLE_WARN,
    STYLE_BAR, /* status line */
    N_STYLES
} style_role;

typedef enum ramp { RAMP_ENTROPY, RAMP_SEA, RAMP_SIGNED, N_RAMPS } ramp;

typedef struct theme theme;

typedef struct palette {
    color_mode mode;
    bool ascii;
    const theme *theme; /* NULL: the built-in one */
} palette;

/* Colours that a role leaves to the screen are -1, and so are all of STYLE_PLAIN: looks can be laid over one
 * another. */
style style_of(const palette *p, style_role r);
/* What -1 stands for: the theme's plain, or the terminal's own where that is -1, too. */
style style_screen(const palette *p);

/* Background for x in [0,1] (signed: 0 lowest, 0.5 zero, 1 highest), with the foreground of better contrast
 * on it. Without colour the style is plain: draw ramp_shade. */
style ramp_style(const palette *p, ramp r, double x);

/* The same value as a character: five shades, or ten in ASCII. The signed ramp gives - and + around a space.
 */
uint32_t ramp_shade(const palette *p, ramp r, double x);

/* The colour of that background; -1 where the mode or the theme has none, and shades tell the value. */
int ramp_color(const palette *p, ramp r, double x);
bool ramp_has_color(const palette *p, ramp r);

#endif
