/* theme_dirs.h - where themes are looked up: the user's own, beside the program, the source tree, the
 * installed data. NULL-terminated; the strings live until the program ends. */
#ifndef TABES_THEME_DIRS_H
#define TABES_THEME_DIRS_H

const char *const *theme_dirs(void);

#endif
