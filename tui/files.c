/* files.c - XDG base directories, and files that can be read without waiting. */
#include "tui/files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tui/tui.h"

static int place(char *path, size_t size, const char *variable, const char *below_home, const char *name) {
    const char *base = getenv(variable), *home = getenv("HOME");
    bool own = base && *base == '/';
    if (!own && (!home || *home != '/')) return -1;
    int n = own ? snprintf(path, size, "%s/tabes/%s", base, name)
                : snprintf(path, size, "%s/%s/tabes/%s", home, below_home, name);
    return n < 0 || (size_t)n >= size ? -1 : 0;
}

int tui_config_file(char *path, size_t size) {
    return place(path, size, "XDG_CONFIG_HOME", ".config", "config");
}

/* Folders above the file; the ones that exist are left alone. */
static void make_folders(char *path) {
    for (char *c = strchr(path + 1, '/'); c; c = strchr(c + 1, '/')) {
        *c = '\0';
        mkdir(path, 0700);
        *c = '/';
    }
}

int state_file(char *path, size_t size, const char *name, bool make) {
    int rc = place(path, size, "XDG_STATE_HOME", ".local/state", name);
    if (!rc && make) make_folders(path);
    return rc;
}

int file_check_regular(const char *path, err *e) {
    struct stat st;
    if (stat(path, &st) || S_ISREG(st.st_mode)) return 0;
    return err_set(e, ERR_IO, "%.200s: not a regular file", path);
}
