/* outfile.c - write, flush, rename. */
#include "engine/base/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 4096 };

static bool put_all(int fd, const strbuf *text) {
    for (size_t done = 0; done < text->len;) {
        ssize_t n = write(fd, text->data + done, text->len - done);
        if (n < 0 && errno == EINTR) continue;
        if (n == 0) errno = EIO;
        if (n <= 0) return false;
        done += (size_t)n;
    }
    return true;
}

/* -1: there is to be no temporary file, or there cannot be one. */
static int open_temporary(const char *path, char temp[PATH_BYTES]) {
    struct stat st;
    bool there = stat(path, &st) == 0;
    int n = snprintf(temp, PATH_BYTES, "%s.%ld.tmp", path, (long)getpid());
    if ((there && !S_ISREG(st.st_mode)) || n < 0 || n >= PATH_BYTES) return -1;
    int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    int ignored =
        fd >= 0 && there ? fchmod(fd, st.st_mode & 07777) : 0; /* else it has the mode of a new file */
    (void)ignored;
    return fd;
}

int outfile_write(const char *path, const strbuf *text, err *e) {
    char temp[PATH_BYTES];
    if (text->failed) return strbuf_fault(text, path, e);
    int fd = open_temporary(path, temp);
    bool renamed = fd >= 0;
    if (!renamed) fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    bool ok = fd >= 0 && put_all(fd, text) && (!renamed || !fsync(fd));
    int why = errno;
    if (fd >= 0 && close(fd) && ok) {
        ok = false;
        why = errno;
    }
    if (ok && renamed && rename(temp, path)) {
        ok = false;
        why = errno;
    }
    if (!ok && renamed) unlink(temp);
    return ok ? 0 : err_set(e, ERR_IO, "%s: %s", path, strerror(why));
}
