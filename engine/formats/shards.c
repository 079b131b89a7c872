/* shards.c - one or several files as one list of tensors. */
#include "engine/formats/shards.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/mem.h"
#include "engine/base/strbuf.h"
#include "engine/formats/safetensors.h"

enum { PATH_MAX_BYTES = 8192, INDEX_MAX_BYTES = 64 << 20, MAX_FILES = 4096 };

/* One of the two is set. */
typedef struct file {
    safetensors *plain;
    gguf *packed;
} file;

typedef struct entry {
    const tensor *tensor;
    const char *path;
} entry;

struct shards {
    char *path;
    file *files;
    size_t n_files, cap_files;
    entry *entries; /* in order of name */
    int n;
};

static int file_count(const file *f) {
    return f->plain ? safetensors_count(f->plain) : gguf_count(f->packed);
}

static const tensor *file_at(const file *f, int i) {
    return f->plain ? safetensors_at(f->plain, i) : gguf_at(f->packed, i);
}

static const char *file_path(const file *f) {
    return f->plain ? safetensors_path(f->plain) : gguf_path(f->packed);
}

static int no_memory(const char *path, err *e) {
    return err_set(e, ERR_NO_MEMORY, "%s: out of memory", path);
}

/* DIR/NAME without doubling a slash; free() it. NULL when memory is short or the path absurd. */
static char *join(const char *dir, const char *name) {
    strbuf b;
    size_t n = strlen(dir);
    strbuf_init(&b, PATH_MAX_BYTES);
    strbuf_printf(&b, "%s%s%s", dir, n && dir[n - 1] == '/' ? "" : "/", name);
    return strbuf_take(&b, NULL);
}

static int add_file(shards *s, const char *path, bool packed, err *e) {
    if (!mem_grow((void **)&s->files, &s->cap_files, s->n_files + 1, sizeof *s->files))
        return no_memory(path, e);
    file *f = &s->files[s->n_files];
    *f = (file){0};
    int rc = packed ? gguf_open(&f->packed, path, e) : safetensors_open(&f->plain, path, e);
    if (!rc) s->n_files++;
    return rc;
}

static bool is_open(const shards *s, const char *path) {
    for (size_t i = 0; i < s->n_files; i++) {
        if (strcmp(file_path(&s->files[i]), path) == 0) return true;
    }
    return false;
}

static int add_named(shards *s, const char *dir, const cJSON *item, err *e) {
    const char *name = cJSON_GetStringValue(item);
    if (!name || !*name || strchr(name, '/')) {
        return err_set(e, ERR_BAD_FORMAT,
                       "%s: weight_map: tensor %.120s: expected the name of a file beside the index", s->path,
                       item->string);
    }
    if (s->n_files >= MAX_FILES)
        return err_set(e, ERR_BAD_FORMAT, "%s: more than %d files", s->path, MAX_FILES);
    char *path = join(dir, name);
    if (!path) return no_memory(s->path, e);
    int rc = is_open(s, path) ? 0 : add_file(s, path, false, e);
    free(path);
    return rc;
}

static int add_indexed(shards *s, const char *dir, err *e) {
    strbuf text;
    int rc = strbuf_read_file(&text, s->path, INDEX_MAX_BYTES, e);
    if (rc) return rc;
    cJSON *root = cJSON_ParseWithLength(text.data, text.len);
    const cJSON *map = cJSON_GetObjectItemCaseSensitive(root, "weight_map"), *item;
    if (!cJSON_IsObject(map))
        rc = err_set(e, ERR_BAD_FORMAT, "%s: weight_map: missing, expected an object", s->path);
    for (item = rc ? NULL : map->child; item && !rc; item = item->next) rc = add_named(s, dir, item, e);
    cJSON_Delete(root);
    strbuf_release(&text);
    return rc;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const entry *)a)->tensor->name, ((const entry *)b)->tensor->name);
}

static int merge(shards *s, err *e) {
    size_t total = 0;
    for (size_t f = 0; f < s->n_files; f++) total += (size_t)file_count(&s->files[f]);
    s->entries = mem_new(total, sizeof *s->entries);
    if (!s->entries) return no_memory(s->path, e);
    for (size_t f = 0; f < s->n_files; f++) {
        for (int i = 0; i < file_count(&s->files[f]); i++)
            s->entries[s->n++] = (entry){file_at(&s->files[f], i), file_path(&s->files[f])};
    }
    qsort(s->entries, (size_t)s->n, sizeof *s->entries, by_name);
    for (int i = 1; i < s->n; i++) {
        if (by_name(&s->entries[i - 1], &s->entries[i])) continue;
        return err_set(e, ERR_BAD_FORMAT, "%s: tensor %.120s: also in %s", shards_file(s, i),
                       shards_at(s, i)->name, shards_file(s, i - 1));
    }
    return 0;
}

/* ---- directories ---- */

static int by_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool has_end(const char *name, const char *end) {
    size_t n = strlen(name), m = strlen(end);
    return n > m && strcmp(name + n - m, end) == 0;
}

/* Every *.safetensors, in order of name. */
static int add_all(shards *s, const char *dir, err *e) {
    DIR *d = opendir(dir);
    char **names = NULL;
    size_t n = 0, cap = 0;
    int rc = d ? 0 : err_set(e, ERR_IO, "%s: %s", dir, strerror(errno));
    for (struct dirent *item; !rc && (item = readdir(d));) {
        if (!has_end(item->d_name, ".safetensors")) continue;
        if (n == MAX_FILES) rc = err_set(e, ERR_BAD_FORMAT, "%s: more than %d files", dir, MAX_FILES);
        if (rc) break;
        if (!mem_grow((void **)&names, &cap, n + 1, sizeof *names) || !(names[n] = join(dir, item->d_name)))
            rc = no_memory(dir, e);
        else
            n++;
    }
    if (d) closedir(d);
    if (n) qsort(names, n, sizeof *names, by_text);
    if (!rc && !n) rc = err_set(e, ERR_NOT_FOUND, "%s: No such file or directory", s->path);
    for (size_t i = 0; i < n; i++) {
        if (!rc) rc = add_file(s, names[i], false, e);
        free(names[i]);
    }
    free(names);
    return rc;
}

static int add_directory(shards *s, const char *dir, err *e) {
    s->path = join(dir, "model.safetensors.index.json");
    if (!s->path) return no_memory(dir, e);
    if (access(s->path, F_OK) == 0) return add_indexed(s, dir, e);
    free(s->path);
    s->path = join(dir, "model.safetensors");
    if (!s->path) return no_memory(dir, e);
    return access(s->path, F_OK) == 0 ? add_file(s, s->path, false, e) : add_all(s, dir, e);
}

/* ---- sets of GGUF files ---- */

static int split_number(const gguf *g, const char *key, int otherwise) {
    const gguf_value *v = gguf_find(g, key);
    bool fine = v && v->kind == GGUF_WHOLE && v->number >= 0 && v->number <= MAX_FILES;
    return fine ? (int)v->number : otherwise;
}

/* PATH with the number of its part replaced, or NULL when its name has none. free() it. */
static char *part_path(const char *path, int part, int count) {
    char end[40];
    snprintf(end, sizeof end, "-of-%05d.gguf", count);
    size_t n = strlen(path), m = strlen(end);
    if (n < m + 6 || strcmp(path + n - m, end) != 0 || path[n - m - 6] != '-') return NULL;
    strbuf b;
    strbuf_init(&b, PATH_MAX_BYTES);
    strbuf_add(&b, path, n - m - 5);
    strbuf_printf(&b, "%05d%s", part, end);
    return strbuf_take(&b, NULL);
}

static int add_part(shards *s, const char *path, int part, int count, err *e) {
    char *name = part_path(path, part + 1, count);
    if (!name) {
        return err_set(e, ERR_BAD_FORMAT, "%s: one of %d parts, but not named ...-%05d-of-%05d.gguf", path,
                       count, part + 1, count);
    }
    int rc = add_file(s, name, true, e);
    if (!rc) {
        const gguf *g = s->files[s->n_files - 1].packed;
        if (split_number(g, "split.no", -1) != part || split_number(g, "split.count", -1) != count) {
            rc = err_set(e, ERR_BAD_FORMAT, "%s: split.no and split.count do not say part %d of %d", name,
                         part + 1, count);
        }
    }
    free(name);
    return rc;
}

static int add_set(shards *s, const char *path, err *e) {
    if (!(s->path = mem_copy(path, strlen(path) + 1, 1))) return no_memory(path, e);
    int rc = add_file(s, path, true, e);
    int count = rc ? 1 : split_number(s->files[0].packed, "split.count", 1);
    if (rc || count <= 1) return rc;
    gguf_close(s->files[0].packed);
    s->n_files = 0;
    for (int i = 0; i < count && !rc; i++) rc = add_part(s, path, i, count, e);
    return rc;
}

/* ---- opening ---- */

static int open_with(shards **out, const char *path, int (*add)(shards *, const char *, err *), err *e) {
    *out = NULL;
    shards *s = mem_new(1, sizeof *s);
    if (!s) return no_memory(path, e);
    int rc = add(s, path, e);
    if (!rc) rc = merge(s, e);
    if (rc) {
        shards_close(s);
        return rc;
    }
    *out = s;
    return 0;
}

int shards_open(shards **out, const char *dir, err *e) {
    return open_with(out, dir, add_directory, e);
}

int shards_open_gguf(shards **out, const char *path, err *e) {
    return open_with(out, path, add_set, e);
}

void shards_close(shards *s) {
    if (!s) return;
    for (size_t i = 0; i < s->n_files; i++) {
        safetensors_close(s->files[i].plain);
        gguf_close(s->files[i].packed);
    }
    free(s->files);
    free(s->entries);
    free(s->path);
    free(s);
}

const gguf *shards_gguf(const shards *s) {
    return s->n_files ? s->files[0].packed : NULL;
}

const char *shards_path(const shards *s) {
    return s->path;
}

int shards_count(const shards *s) {
    return s->n;
}

const tensor *shards_at(const shards *s, int i) {
    return s->entries[i].tensor;
}

const char *shards_file(const shards *s, int i) {
    return s->entries[i].path;
}

int shards_find(const shards *s, const char *name) {
    tensor wanted = {.name = name};
    entry key = {.tensor = &wanted};
    const entry *hit = bsearch(&key, s->entries, (size_t)s->n, sizeof *s->entries, by_name);
    return hit ? (int)(hit - s->entries) : -1;
}
