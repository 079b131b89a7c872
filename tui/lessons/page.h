/* page.h - one half of a lesson's step as lines of a given width.
 */
#ifndef TABES_LESSON_PAGE_H
#define TABES_LESSON_PAGE_H

#include "tui/app.h"

/* Columns of text in a panel of w columns: long lines are hard to read. */
#define LESSON_WIDTH(w) ((w)-2 < 100 ? (w)-2 : 100)

enum { PAGE_MAX_LINES = 64, PAGE_LINE = 512 };

typedef struct page_line {
    style_role role;
    char text[PAGE_LINE]; /* UTF-8 */
} page_line;

typedef struct page {
    int n;
    page_line at[PAGE_MAX_LINES];
    err bad; /* the first placeholder that could not be told */
} page;

/* What is shown now. */
void page_now(const app *a, int width, page *out);
/* Lines that the longest half of any step takes. */
int page_most_lines(const app *a, int width);

#endif
