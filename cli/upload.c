/* upload.c - one line that is written over, a few times a second. */
#include "cli/upload.h"

#include <stdio.h>
#include <unistd.h>

#include "engine/base/clock.h"

static const double INTERVAL = 0.1; /* seconds between two lines */

void upload_begin(upload *u, const char *device, bool quiet) {
    *u = (upload){.device = device, .wanted = !quiet && isatty(STDERR_FILENO)};
}

/* The rate counts from the first line: what came before it was opening files and the device. */
static void show(const upload *u, size_t done, size_t total) {
    double seconds = u->last - u->started, rate = seconds > 0 ? (double)(done - u->before) / seconds : 0;
    fprintf(stderr, "\rweights to %s: %.1f of %.1f GB", u->device, (double)done / 1e9, (double)total / 1e9);
    if (rate > 0) {
        int left = (int)((double)(total - done) / rate + 0.5);
        fprintf(stderr, ", %.1f GB/s, ETA %d:%02d", rate / 1e9, left / 60, left % 60);
    }
    fputs("\033[K", stderr);
}

void upload_progress(void *ctx, size_t done, size_t total) {
    upload *u = ctx;
    double now = clock_now();
    if (!u->wanted || (u->shown && now - u->last < INTERVAL)) return;
    if (!u->shown) {
        u->started = now;
        u->before = done;
    }
    u->shown = true;
    u->last = now;
    show(u, done, total);
}

void upload_end(upload *u) {
    if (u->shown) fputs("\r\033[K", stderr);
    u->shown = false;
}
