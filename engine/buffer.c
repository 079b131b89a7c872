/* buffer.c - device memory that only grows, and faults of a device as errors. */
#include "engine/buffer.h"

int device_error(const k_fault *f, err *e) {
    return err_set(e, f->kind == K_NO_MEMORY ? ERR_NO_MEMORY : ERR_NO_DEVICE, "%s", f->text);
}

int device_check(kernels *k, err *e) {
    k_fault f;
    return k->fault(k, &f) ? device_error(&f, e) : 0;
}

void buffer_release(buffer *b) {
    if (b->k) b->k->free(b->k, b->data);
    *b = (buffer){0};
}

/* Room grows by half, so that a decode whose passes vary a little in size settles soon. A device that has not
 * that much gives what is needed. */
int buffer_reserve(buffer *b, kernels *k, size_t bytes, const char *what, err *e) {
    if (b->k == k && bytes <= b->bytes && b->data) return 0;
    size_t want = b->k == k && b->bytes + b->bytes / 2 > bytes ? b->bytes + b->bytes / 2 : bytes;
    buffer_release(b);
    k_fault f = {0};
    void *data = k->alloc(k, want);
    if (!data && want > bytes && k->fault(k, &f) && f.kind == K_NO_MEMORY) {
        want = bytes;
        data = k->alloc(k, want);
    }
    if (!data) {
        int rc = k->fault(k, &f) ? device_error(&f, e) : err_set(e, ERR_NO_MEMORY, "no memory");
        return rc == ERR_NO_MEMORY ? err_set(e, rc, "out of memory for %s (%s)", what, f.text) : rc;
    }
    *b = (buffer){k, data, want};
    return 0;
}
