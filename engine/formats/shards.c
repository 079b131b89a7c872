/* shards.c - one or several safetensors files as one list of tensors. */
#include "engine/formats/shards.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/mem.h"
#include "engine/base/strbuf.h"

enum { PATH_MAX_BYTES = 8192, INDEX_MAX_BYTES = 64 << 20, MAX_FILES = 4096 };

typedef struct entry {
    const safetensor *tensor;
    const safetensors *file;
} entry;

struct shards {
    char *path;
    safetensors **files;
    size_t n_files, cap_files;
    entry *entries; /* in order of name */
    int n;
};

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

static int add_file(shards *s, const char *path, err *e) {
    if (!mem_grow((void **)&s->files, &s->cap_files, s->n_files + 1, sizeof *s->files))
        return no_memory(path, e);
    int rc = safetensors_open(&s->files[s->n_files], path, e);
    if (!rc) s->n_files++;
    return rc;
}

static bool is_open(const shards *s, const char *path) {
    for (size_t i = 0; i < s->n_files; i++) {
        if (strcmp(safetensors_path(s->files[i]), path) == 0) return true;
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
    int rc = is_open(s, path) ? 0 : add_file(s, path, e);
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
    for (size_t f = 0; f < s->n_files; f++) total += (size_t)safetensors_count(s->files[f]);
    s->entries = mem_new(total, sizeof *s->entries);
    if (!s->entries) return no_memory(s->path, e);
    for (size_t f = 0; f < s->n_files; f++) {
        for (int i = 0; i < safetensors_count(s->files[f]); i++) {
            s->entries[s->n++] = (entry){safetensors_at(s->files[f], i), s->files[f]};
        }
    }
    qsort(s->entries, (size_t)s->n, sizeof *s->entries, by_name);
    for (int i = 1; i < s->n; i++) {
        if (by_name(&s->entries[i - 1], &s->entries[i])) continue;
        return err_set(e, ERR_BAD_FORMAT, "%s: tensor %.120s: also in %s", shards_file(s, i),
                       shards_at(s, i)->name, shards_file(s, i - 1));
    }
    return 0;
}

int shards_open(shards **out, const char *dir, err *e) {
    *out = NULL;
    shards *s = mem_new(1, sizeof *s);
    if (!s) return no_memory(dir, e);
    int rc = 0;
    s->path = join(dir, "model.safetensors.index.json");
    if (!s->path) {
        rc = no_memory(dir, e);
    } else if (access(s->path, F_OK) == 0) {
        rc = add_indexed(s, dir, e);
    } else {
        free(s->path);
        s->path = join(dir, "model.safetensors");
        rc = s->path ? add_file(s, s->path, e) : no_memory(dir, e);
    }
    if (!rc) rc = merge(s, e);
    if (rc) {
        shards_close(s);
        return rc;
    }
    *out = s;
    return 0;
}

void shards_close(shards *s) {
    if (!s) return;
    for (size_t i = 0; i < s->n_files; i++) safetensors_close(s->files[i]);
    free(s->files);
    free(s->entries);
    free(s->path);
    free(s);
}

const char *shards_path(const shards *s) {
    return s->path;
}

int shards_count(const shards *s) {
    return s->n;
}

const safetensor *shards_at(const shards *s, int i) {
    return s->entries[i].tensor;
}

const char *shards_file(const shards *s, int i) {
    return safetensors_path(s->entries[i].file);
}

int shards_find(const shards *s, const char *name) {
    safetensor wanted = {.name = name};
    entry key = {.tensor = &wanted};
    const entry *hit = bsearch(&key, s->entries, (size_t)s->n, sizeof *s->entries, by_name);
    return hit ? (int)(hit - s->entries) : -1;
}
