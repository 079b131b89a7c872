/* results.c - an append-only file of JSON lines. */
#include "eval/results.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "engine/base/mem.h"

enum { RESULTS_MAX_BYTES = 1 << 30 };

struct results_file {
    int fd;
    char *path;
    off_t good; /* bytes of whole lines */
    bool broken;
};

/* Items by key, sorted. */
typedef struct keyed {
    char key[EVAL_KEY];
    int item;
} keyed;

static int by_key(const void *a, const void *b) {
    return strcmp(((const keyed *)a)->key, ((const keyed *)b)->key);
}

static keyed *sorted_keys(const eval_plan *p) {
    int n = plan_items(p);
    keyed *k = mem_new((size_t)n, sizeof *k);
    bool ok = k;
    for (int i = 0; ok && i < n; i++) {
        ok = plan_key(p, i, k[i].key);
        k[i].item = i;
    }
    if (k && !ok) {
        free(k);
        k = NULL;
    }
    if (k) qsort(k, (size_t)n, sizeof *k, by_key);
    return k;
}

static int take_line(const keyed *keys, int n_keys, const char *line, size_t n, outcome *outcomes, int *found,
                     err *e) {
    keyed want;
    outcome got;
    int rc = outcome_read(line, n, want.key, &got, e);
    if (rc) return rc;
    const keyed *k = bsearch(&want, keys, (size_t)n_keys, sizeof *keys, by_key);
    if (k && !outcomes[k->item].known) {
        outcomes[k->item] = got;
        ++*found;
    } else {
        outcome_release(&got);
    }
    return 0;
}

static int take_all(const strbuf *text, const eval_plan *p, outcome *outcomes, int *found, err *e) {
    keyed *keys = sorted_keys(p);
    int rc = keys ? 0 : err_set(e, ERR_NO_MEMORY, "out of memory for %d keys", plan_items(p));
    const char *at = text->data, *end = text->data + text->len;
    for (int line = 1; at < end && !rc; line++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        rc = take_line(keys, plan_items(p), at, (size_t)(stop - at), outcomes, found, e);
        if (rc) err_prefix(e, "%d", line);
        at = stop + 1;
    }
    free(keys);
    return rc;
}

static int io_error(const char *path, err *e) {
    return err_set(e, ERR_IO, "%s: %s", path, strerror(errno));
}

/* What a killed run was writing begins like every line; anything else is a file that was named by mistake. */
static bool is_torn_line(const char *s, size_t n) {
    static const char begin[] = "{\"key\":\"";
    return !memcmp(s, begin, n < sizeof begin - 1 ? n : sizeof begin - 1);
}

/* Nothing is cut off before all of it has been understood. */
static int read_existing(results_file *f, const eval_plan *p, outcome *outcomes, int *found, bool *torn,
                         err *e) {
    strbuf text;
    int rc = strbuf_read_file(&text, f->path, RESULTS_MAX_BYTES, e);
    if (rc) return rc;
    size_t all = text.len;
    while (text.len > 0 && text.data[text.len - 1] != '\n') text.len--;
    if (torn) *torn = text.len < all;
    if (!is_torn_line(text.data + text.len, all - text.len)) {
        rc = err_set(e, ERR_BAD_FORMAT, "%s: not a results file", f->path);
    } else if ((rc = take_all(&text, p, outcomes, found, e)) != 0) {
        err_prefix(e, "%s", f->path);
    } else if (text.len < all && ftruncate(f->fd, (off_t)text.len)) {
        rc = io_error(f->path, e);
    }
    f->good = (off_t)text.len;
    strbuf_release(&text);
    return rc;
}

int results_open(results_file **out, const char *path, const eval_plan *p, outcome *outcomes, int *found,
                 bool *torn, err *e) {
    *out = NULL;
    *found = 0;
    results_file *f = mem_new(1, sizeof *f);
    if (!f) return err_set(e, ERR_NO_MEMORY, "out of memory for a results file");
    f->path = strdup(path);
    f->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    int rc = f->fd < 0 || !f->path ? io_error(path, e) : 0;
    if (!rc && flock(f->fd, LOCK_EX | LOCK_NB))
        rc = errno == EWOULDBLOCK ? err_set(e, ERR_BAD_ARGUMENT, "%s: another run is writing to it", path)
                                  : io_error(path, e);
    if (!rc) rc = read_existing(f, p, outcomes, found, torn, e);
    if (rc) {
        results_close(f);
        return rc;
    }
    *out = f;
    return 0;
}

/* What was written of a line is taken back; the lines of other workers must not end up behind it. */
static int give_up(results_file *f, int why, err *e) {
    f->broken = true;
    int cut = ftruncate(f->fd, f->good); /* where it fails the last line is torn, as that of a killed run */
    (void)cut;
    return err_set(e, ERR_IO, "%s: %s", f->path, strerror(why));
}

/* One write call: a killed run leaves a whole line or a torn last one. */
int results_append(results_file *f, const strbuf *line, err *e) {
    const char *at = line->data;
    size_t left = line->len;
    if (f->broken) return err_set(e, ERR_IO, "%s: writing failed earlier", f->path);
    while (left > 0) {
        ssize_t n = write(f->fd, at, left);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return give_up(f, n < 0 ? errno : EIO, e);
        at += n;
        left -= (size_t)n;
    }
    f->good += (off_t)line->len;
    return fdatasync(f->fd) && errno != EINVAL && errno != EROFS ? io_error(f->path, e) : 0;
}

void results_close(results_file *f) {
    if (!f) return;
    if (f->fd >= 0) close(f->fd);
    free(f->path);
    free(f);
}
