/* color.h - numbers of colours: the xterm palette, contrast, lightness and the nearest colour.
 *
 * RGB is 0xRRGGBB. Lightness and a, b are CIE 1976 L*a*b* under D65. The first sixteen numbers of the palette
 * are xterm's defaults; a terminal may draw them differently.
 */
#ifndef TABES_TUI_COLOR_H
#define TABES_TUI_COLOR_H

typedef struct lab {
    double l, a, b;
} lab;

int color_rgb(int index); /* of xterm's 256 */
double color_luminance(int rgb);
double color_contrast(int rgb1, int rgb2); /* WCAG 2: 1 to 21 */
lab color_lab(int rgb);

/* The index in [from, to) nearest to the colour. */
int color_nearest(int rgb, int from, int to);

/* Part f of the way from a to b, each channel on its own. */
int color_blend(int a, int b, double f);

#endif
