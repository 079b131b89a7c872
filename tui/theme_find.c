/* theme_find.c - theme files by name: which folders have which, and the one that a person asks for. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/base/strbuf.h"
#include "tui/files.h"
#include "tui/theme.h"

static const char suffix[] = ".theme";

/* "themes/light.theme" -> "light"; false when that is no name. */
static bool name_of(const char *path, char name[THEME_MAX_NAME]) {
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    size_t n = strlen(base), end = sizeof suffix - 1;
    if (n > end && !strcmp(base + n - end, suffix)) n -= end;
    bool plain = n > 0 && n < THEME_MAX_NAME && base[0] != '.';
    for (size_t i = 0; plain && i < n; i++) {
        unsigned char c = (unsigned char)base[i];
        plain = c > ' ' && c < 0x7F;
    }
    name[0] = '\0';
    if (plain) snprintf(name, THEME_MAX_NAME, "%.*s", (int)n, base);
    return plain;
}

int theme_load(theme *t, const char *path, err *e) {
    strbuf text;
    int rc = file_check_regular(path, e);
    if (!rc) rc = strbuf_read_file(&text, path, THEME_MAX_BYTES, e);
    if (rc) return rc;
    rc = theme_parse(t, text.data, text.len, path, e);
    if (!rc && !name_of(path, t->name)) snprintf(t->name, sizeof t->name, "theme");
    strbuf_release(&text);
    return rc;
}

/* The list ------------------------------------------------------------ */

int theme_list_find(const theme_list *l, const char *name) {
    for (int i = 0; i < l->n; i++) {
        if (!strcmp(l->at[i].name, name)) return i;
    }
    return -1;
}

/* The built-in theme is entry 0 from the start; a file of its name takes its place. */
static void add_file(theme_list *l, const char *dir, const char *file) {
    char path[THEME_MAX_PATH], name[THEME_MAX_NAME];
    size_t n = strlen(file);
    int len = snprintf(path, sizeof path, "%s/%s", dir, file);
    if (n < sizeof suffix || strcmp(file + n - (sizeof suffix - 1), suffix) || len < 0 ||
        (size_t)len >= sizeof path || !name_of(file, name))
        return;
    int i = theme_list_find(l, name);
    if (i > 0 || (i == 0 && l->at[0].path[0]) || (i < 0 && l->n == THEME_MAX_FILES)) return;
    theme_entry *slot = &l->at[i < 0 ? l->n++ : i];
    memcpy(slot->name, name, sizeof name);
    memcpy(slot->path, path, sizeof path);
}

static void scan(theme_list *l, const char *path) {
    DIR *dir = opendir(path);
    if (!dir) return;
    for (const struct dirent *entry; (entry = readdir(dir));) add_file(l, path, entry->d_name);
    closedir(dir);
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const theme_entry *)a)->name, ((const theme_entry *)b)->name);
}

int theme_list_open(theme_list *l, const char *const *dirs, err *e) {
    *l = (theme_list){.at = mem_new(THEME_MAX_FILES, sizeof *l->at)};
    if (!l->at) return err_set(e, ERR_NO_MEMORY, "list of themes: out of memory");
    snprintf(l->at[0].name, THEME_MAX_NAME, "%s", theme_builtin()->name);
    l->n = 1;
    for (; dirs && *dirs; dirs++) scan(l, *dirs);
    qsort(l->at + 1, (size_t)l->n - 1, sizeof *l->at, by_name);
    return 0;
}

void theme_list_release(theme_list *l) {
    free(l->at);
    *l = (theme_list){0};
}

int theme_list_load(const theme_list *l, int i, theme *t, err *e) {
    if (l->at[i].path[0]) return theme_load(t, l->at[i].path, e);
    *t = *theme_builtin();
    return 0;
}

static void name_all(const theme_list *l, char *buf, size_t size) {
    size_t used = 0;
    buf[0] = '\0';
    for (int i = 0; i < l->n && used < size; i++) {
        int n = snprintf(buf + used, size - used, "%s%s", i ? ", " : "", l->at[i].name);
        used += n > 0 ? (size_t)n : 0;
    }
}

int theme_open(theme *t, const theme_list *l, const char *name, err *e) {
    char all[200];
    size_t n = strlen(name), end = sizeof suffix - 1;
    bool file = strchr(name, '/') || (n > end && !strcmp(name + n - end, suffix));
    if (file) return theme_load(t, name, e);
    int i = theme_list_find(l, name);
    if (i >= 0) return theme_list_load(l, i, t, e);
    name_all(l, all, sizeof all);
    return err_set(e, ERR_NOT_FOUND, "theme '%.40s' is unknown; there are: %s", name, all);
}
