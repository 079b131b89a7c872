/* export_page.h - what the page of the HTML export is told about a run. Private to this room.
 *
 * The data is JSON for replay/page/data.js, made small: recordings of thousands of positions and hundreds of
 * steps open at once. What follows from the rest is left out (which positions are masked), entropies are
 * whole multiples of PAGE_NATS and probabilities of PAGE_P, and candidates are indices into the masked
 * positions. Probabilities that would be 0 then are not listed.
 */
#ifndef TABES_REPLAY_EXPORT_PAGE_H
#define TABES_REPLAY_EXPORT_PAGE_H

#include "replay/export_color.h"
#include "replay/export_impl.h"

#define PAGE_NATS 1e-4
#define PAGE_P    1e-5

/* One run as an object. */
int export_page_run(strbuf *out, const trajectory *t, err *e) MUST_CHECK;

/* Colourings with their ramps, and the scale, as fields of an object. */
void export_page_colors(strbuf *out, const export_scale *s);

#endif
