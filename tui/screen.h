/* screen.h - one frame: the app's state drawn into cells. */
#ifndef TABES_TUI_SCREEN_H
#define TABES_TUI_SCREEN_H

#include "tui/app.h"

/* Lays out, derives and draws. The grid gives the size. */
int screen_draw(app *a, cells *g, err *e) MUST_CHECK;

#endif
