/* page.h - the parts of the HTML export as bytes. They are real files in replay/page/, to be read and edited
 * as what they are; cmake/EmbedPage.cmake makes arrays of them when the program is built. */
#ifndef TABES_REPLAY_PAGE_H
#define TABES_REPLAY_PAGE_H

#include <stddef.h>

/* page.html has the markers @TITLE@, @STYLE@, @DATA@ and @SCRIPT@, in this order; each stands once. */
extern const unsigned char page_html[], page_css[], page_js[]; /* page_js: the scripts, one after another */
extern const size_t page_html_bytes, page_css_bytes, page_js_bytes;

#endif
