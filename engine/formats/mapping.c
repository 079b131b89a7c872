/* mapping.c - mmap, with messages. */
#include "engine/formats/mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int mapping_open(mapping *m, const char *path, err *e) {
    *m = (mapping){0};
    /* Without O_NONBLOCK a pipe among the files of a model would be waited for, for ever. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return err_set(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %s", path, strerror(errno));
    struct stat st;
    int rc = 0;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
        rc = err_set(e, ERR_IO, "%s: not a regular file", path);
    } else if (st.st_size > 0) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED) {
            rc = err_set(e, ERR_IO, "%s: cannot map: %s", path, strerror(errno));
        } else {
            *m = (mapping){p, (size_t)st.st_size};
        }
    }
    close(fd);
    return rc;
}

void mapping_close(mapping *m) {
    if (m->data) munmap(m->data, m->size);
    *m = (mapping){0};
}
