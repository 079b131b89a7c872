/* terminfo.c - is a terminal's name known? Asked before curses starts, which leaks its screen when it is not.
 * Alone in its file, because <term.h> defines hundreds of plain words as macros. */
#include <curses.h>
/* after curses.h */
#include <term.h>
#include <unistd.h>

bool terminfo_known(const char *name);

bool terminfo_known(const char *name) {
    int found = 0;
    if (setupterm(name, STDOUT_FILENO, &found) == ERR) return false;
    del_curterm(cur_term);
    return true;
}
