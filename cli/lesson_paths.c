/* lesson_paths.c - a lesson stays in its folder. */
#include "cli/lesson_paths.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/args.h"

/* The folders, as real paths; "" is none. */
typedef struct allowed {
    char own[PATH_MAX], bundled[PATH_MAX];
} allowed;

static bool is_below(const char *folder, const char *path) {
    size_t n = strlen(folder);
    while (n && folder[n - 1] == '/') n--; /* of the root nothing is left, and everything is below it */
    return folder[0] && !strncmp(path, folder, n) && (path[n] == '/' || !path[n]);
}

static int find_folders(const lesson *l, allowed *a, err *e) {
    char folder[LESSON_PATH];
    const char *slash = strrchr(l->path, '/');
    *a = (allowed){0};
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - l->path) + 1 : 1, slash ? l->path : ".");
    if (!realpath(folder, a->own)) return err_set(e, ERR_IO, "%.200s: %s", folder, strerror(errno));
    if (cli_bundled_path("lessons", "..", folder, sizeof folder) || !realpath(folder, a->bundled))
        a->bundled[0] = '\0';
    return 0;
}

static int check(const allowed *a, const char *path, bool is_folder, err *e) {
    char real[PATH_MAX];
    struct stat st;
    if (!path) return 0;
    if (!realpath(path, real) || stat(real, &st))
        return err_set(e, ERR_NOT_FOUND, "%.200s: %s", path, strerror(errno));
    if (!is_below(a->own, real) && !is_below(a->bundled, real)) {
        return err_set(e, ERR_BAD_ARGUMENT,
                       "%.150s is outside of the lesson's folder; a lesson opens only what lies there", path);
    }
    if (is_folder ? S_ISDIR(st.st_mode) || S_ISREG(st.st_mode) : S_ISREG(st.st_mode)) return 0;
    return err_set(e, ERR_BAD_ARGUMENT, "%.200s is not a regular file", path);
}

int lesson_check_paths(const lesson *l, err *e) {
    allowed a;
    int rc = find_folders(l, &a, e);
    bool named = l->model && !strchr(l->model, '/'); /* then it is a bundled one */
    if (!rc && !named) rc = check(&a, l->model, true, e);
    if (!rc) rc = check(&a, l->prompt_file, false, e);
    for (int i = 0; i < l->n_replays && !rc; i++) rc = check(&a, l->replays[i], false, e);
    return rc;
}
