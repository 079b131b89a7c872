/* theme_dirs.c - the folders of themes, found once. The user's come first, so that a file of the same name
 * wins. */
#include "cli/theme_dirs.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_DIRS = 5 };

typedef struct dir_list {
    int n;
    char path[MAX_DIRS][PATH_MAX];
    const char *list[MAX_DIRS + 1];
} dir_list;

static void add(dir_list *d, const char *root, const char *below) {
    char path[PATH_MAX];
    int len = snprintf(path, sizeof path, "%s%s", root, below);
    if (len < 0 || (size_t)len >= sizeof path || !realpath(path, d->path[d->n])) return;
    for (int i = 0; i < d->n; i++) {
        if (!strcmp(d->path[i], d->path[d->n])) return;
    }
    d->list[d->n] = d->path[d->n];
    d->n++;
}

/* An empty or relative XDG_CONFIG_HOME counts as unset. */
static void add_own(dir_list *d) {
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    if (config && *config == '/') {
        add(d, config, "/tabes/themes");
    } else if (home && *home == '/') {
        add(d, home, "/.config/tabes/themes");
    }
}

const char *const *theme_dirs(void) {
    static dir_list d;
    if (d.n) return d.list;
    char exe[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    exe[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(exe, '/');
    if (slash) *slash = '\0';
    add_own(&d);
    add(&d, exe, "/../themes");
    add(&d, exe, "/../share/tabes/themes");
    add(&d, TABES_SOURCE_DIR, "/themes");
    add(&d, TABES_DATA_DIR, "/themes");
    return d.list;
}
