/* write.c - trajectory files on their way out. Each line is one write(2) of whole bytes; when it fails the
 * file is cut back to the last whole line, so a full disk leaves a readable recording. */
#include "replay/replay.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/mem.h"
#include "replay/format.h"

struct recorder {
    char *path;
    int fd;
    off_t good; /* bytes of whole lines */
    int n_steps;
    bool stopped;  /* a step could not be recorded; those after it do not follow */
    bool broken;   /* nor the closing line */
    bool finished; /* the closing line is there */
    text_log log;
    strbuf line;
};

/* Prints `root` (taken; may be NULL) as a line. */
static int put_line(recorder *r, const json_out *o, cJSON *root, const char *extra, err *e) {
    int rc = json_out_check(o, r->path, e);
    strbuf_clear(&r->line);
    if (!rc) rc = json_put_line(&r->line, root, extra, e);
    cJSON_Delete(root);
    if (rc) return rc;
    size_t done = 0;
    while (done < r->line.len && !rc) {
        ssize_t n = write(r->fd, r->line.data + done, r->line.len - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            rc = err_set(e, ERR_IO, "%s: %s; %d step%s kept", r->path, strerror(n < 0 ? errno : EIO),
                         r->n_steps, r->n_steps == 1 ? " is" : "s are");
            /* Only a regular file can be cut back; elsewhere the failure is all there is to say. */
            if (ftruncate(r->fd, r->good)) r->broken = true;
        } else {
            done += (size_t)n;
        }
    }
    if (!rc) r->good += (off_t)r->line.len;
    return rc;
}

static int open_fd(recorder **out, int fd, const char *path, const traj_header *h, token_texts texts,
                   err *e) {
    recorder *r = mem_new(1, sizeof *r);
    json_out o = {0};
    int rc = 0;
    *out = NULL; /* whatever comes, the caller closes it */
    if (!r) {
        close(fd);
        return err_set(e, ERR_NO_MEMORY, "%s: out of memory", path);
    }
    r->fd = fd;
    r->path = strdup(path);
    r->log = (text_log){.texts = texts, .n_vocab = h->n_vocab, .seen = mem_new((size_t)h->n_vocab, 1)};
    strbuf_init(&r->line, MAX_LINE);
    if (!r->path || !r->log.seen) rc = err_set(e, ERR_NO_MEMORY, "%s: out of memory", path);
    if (!rc) {
        const struct replay_texts *kept = replay_kept(texts);
        cJSON *root = format_header(&o, h, &r->log);
        rc = put_line(r, &o, root, kept ? kept->header_extra : NULL, e);
    }
    if (rc) {
        recorder_close(r);
        r = NULL;
    }
    *out = r;
    return rc;
}

/* A regular file is recorded to by one process at a time: the lines of two would end up in each other. A file
 * system without locks must do without this. */
static int claim(int fd, const char *path, err *e) {
    struct stat st;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode) || !flock(fd, LOCK_EX | LOCK_NB) || errno != EWOULDBLOCK)
        return 0;
    return err_set(e, ERR_BAD_ARGUMENT, "%s: another run is recording to it", path);
}

/* Emptied only once it is claimed. */
int recorder_open(recorder **out, const char *path, const traj_header *h, token_texts texts, err *e) {
    *out = NULL;
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) return err_set(e, ERR_IO, "%s: %s", path, strerror(errno));
    int rc = claim(fd, path, e);
    if (!rc && ftruncate(fd, 0) && errno != EINVAL) /* EINVAL: a pipe or a device */
        rc = err_set(e, ERR_IO, "%s: %s", path, strerror(errno));
    if (!rc) return open_fd(out, fd, path, h, texts, e);
    close(fd);
    return rc;
}

int recorder_step(recorder *r, const step_record *rec, err *e) {
    json_out o = {0};
    if (r->stopped || r->broken || r->finished) {
        return err_set(e, ERR_IO, "%s: the recording %s; step %d is not recorded", r->path,
                       r->finished ? "is closed" : "failed earlier", rec->step);
    }
    if (rec->step != r->n_steps) {
        return err_set(e, ERR_BAD_ARGUMENT, "%s: step %d follows step %d", r->path, rec->step,
                       r->n_steps - 1);
    }
    cJSON *root = format_step(&o, rec, &r->log);
    int rc = put_line(r, &o, root, rec->extra_json, e);
    r->stopped = rc != 0;
    if (rc && rc != ERR_NO_MEMORY) r->broken = true;
    if (!rc) r->n_steps++;
    return rc;
}

int recorder_finish(recorder *r, const trajectory *t, err *e) {
    json_out o = {0};
    if (r->broken || r->finished) {
        return err_set(e, ERR_IO, "%s: the recording %s; it has no closing line", r->path,
                       r->broken ? "failed earlier" : "is closed");
    }
    const struct replay_texts *kept = replay_kept(t->texts);
    int rc = put_line(r, &o, format_closing(&o, t), kept ? kept->closing_extra : NULL, e);
    r->finished = !rc;
    if (rc && rc != ERR_NO_MEMORY) r->broken = true;
    return rc;
}

void recorder_close(recorder *r) {
    if (!r) return;
    if (r->fd >= 0) close(r->fd);
    strbuf_release(&r->line);
    free(r->log.seen);
    free(r->path);
    free(r);
}

static int write_all(recorder *r, const trajectory *t, bool sync, err *e) {
    int rc = 0;
    assert(r);
    for (int i = 0; i < t->n_records && !rc; i++) rc = recorder_step(r, t->records[i], e);
    if (!rc) rc = recorder_finish(r, t, e);
    if (!rc && sync && fsync(r->fd)) rc = err_set(e, ERR_IO, "%s: %s", r->path, strerror(errno));
    return rc;
}

int replay_write_fd(int fd, const trajectory *t, const char *path, err *e) {
    recorder *r;
    int copy = dup(fd);
    if (copy < 0) return err_set(e, ERR_IO, "%s: %s", path, strerror(errno));
    int rc = open_fd(&r, copy, path, &t->head, t->texts, e);
    if (!rc) rc = write_all(r, t, false, e);
    recorder_close(r);
    return rc;
}

/* Does no run record to the file that is to be replaced? What it writes would be lost with the old file. */
static int check_unclaimed(const char *path, err *e) {
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return 0; /* not there, or the replacement will say why not */
    int rc = claim(fd, path, e);
    close(fd);
    return rc;
}

int replay_save(const trajectory *t, const char *path, err *e) {
    struct stat st;
    recorder *r;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        /* A pipe or device cannot be replaced by renaming. */
        int rc = recorder_open(&r, path, &t->head, t->texts, e);
        if (!rc) rc = write_all(r, t, false, e);
        recorder_close(r);
        return rc;
    }
    strbuf temp;
    strbuf_init(&temp, 1 << 16);
    strbuf_printf(&temp, "%s.%ld.tmp", path, (long)getpid());
    int rc = temp.failed ? strbuf_fault(&temp, path, e) : check_unclaimed(path, e);
    int fd = rc ? -1 : open(temp.data, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (!rc && fd < 0) rc = err_set(e, ERR_IO, "%s: %s", path, strerror(errno));
    if (!rc) {
        rc = open_fd(&r, fd, path, &t->head, t->texts, e);
        if (!rc) rc = write_all(r, t, true, e);
        recorder_close(r);
        if (!rc && rename(temp.data, path)) rc = err_set(e, ERR_IO, "%s: %s", path, strerror(errno));
        if (rc) unlink(temp.data);
    }
    strbuf_release(&temp);
    return rc;
}
