/* lesson_list.c - finding lessons. */
#include "cli/lesson_list.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "cli/args.h"

static int by_order(const void *a, const void *b) {
    const lesson *x = *(lesson *const *)a, *y = *(lesson *const *)b;
    return x->order != y->order ? (x->order > y->order) - (x->order < y->order) : strcmp(x->name, y->name);
}

static bool is_lesson(const char *name) {
    size_t n = strlen(name), end = strlen(".lesson");
    return n > end && name[0] != '.' && !strcmp(name + n - end, ".lesson");
}

static int add(lesson_list *l, const char *folder, const char *name, err *e) {
    char path[LESSON_PATH];
    int len = snprintf(path, sizeof path, "%s%s", folder, name);
    if (len < 0 || (size_t)len >= sizeof path || l->n == LESSON_MAX_FILES)
        return err_set(e, ERR_BAD_ARGUMENT, "%.200s: too many lessons", folder);
    return lesson_load(&l->at[l->n++], path, e);
}

int lesson_list_open(lesson_list *l, err *e) {
    char folder[LESSON_PATH];
    int rc = 0;
    *l = (lesson_list){0};
    DIR *d = cli_bundled_path("lessons", "", folder, sizeof folder) ? NULL : opendir(folder);
    if (!d)
        return err_set(e, ERR_NOT_FOUND,
                       "the lessons are not installed; tabes lesson FILE plays one from a file");
    for (const struct dirent *at; !rc && (at = readdir(d)) != NULL;) {
        if (is_lesson(at->d_name)) rc = add(l, folder, at->d_name, e);
    }
    closedir(d);
    if (rc) {
        lesson_list_release(l);
    } else {
        qsort(l->at, (size_t)l->n, sizeof l->at[0], by_order);
    }
    return rc;
}

void lesson_list_release(lesson_list *l) {
    for (int i = 0; i < l->n; i++) lesson_free(l->at[i]);
    *l = (lesson_list){0};
}

static int not_there(const char *name, err *e) {
    lesson_list l;
    const char *names[LESSON_MAX_FILES];
    if (lesson_list_open(&l, e)) return e->code;
    for (int i = 0; i < l.n; i++) names[i] = l.at[i]->name;
    const char *near = cli_suggest(name, names, l.n);
    err_set(e, ERR_NOT_FOUND, "no lesson '%.60s'%s%s; tabes lesson lists them", name, near ? "; is it " : "",
            near ? near : "");
    lesson_list_release(&l);
    return e->code;
}

int lesson_open(lesson **out, const char *name, err *e) {
    char file[256], path[LESSON_PATH];
    *out = NULL;
    if (strchr(name, '/') || is_lesson(name)) return lesson_load(out, name, e);
    snprintf(file, sizeof file, "%.200s.lesson", name);
    return cli_bundled_path("lessons", file, path, sizeof path) ? not_there(name, e)
                                                                : lesson_load(out, path, e);
}
