/* lesson_paths.h - which files a lesson may open. */
#ifndef TABES_LESSON_PATHS_H
#define TABES_LESSON_PATHS_H

#include "tui/lessons/lesson.h"

/* Lessons come from strangers. What one names, links followed, must lie in the lesson's own folder, below it,
 * or among the examples that come with the program, and be a regular file, or a folder for a model. */
int lesson_check_paths(const lesson *l, err *e) MUST_CHECK;

#endif
