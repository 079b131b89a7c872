/* replays.c - one recording, opened, played through in the workbench and closed, over and over: what is
 * allocated after the first times is all that ever is.
 *
 *     GLIBC_TUNABLES=glibc.malloc.tcache_count=0 faults_replays [TIMES [RECORDING]]
 *
 * What glibc keeps for a thread to use again would count as in use.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "tui/app.h"
#include "tui/screen.h"

enum { COLS = 120, ROWS = 40, WARM = 3, SHOWN = 10 };

size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t allocated(void) {
    if (__sanitizer_get_current_allocated_bytes) return __sanitizer_get_current_allocated_bytes();
    struct mallinfo2 all = mallinfo2();
    return all.uordblks + all.hblkhd;
}

static long resident_kib(void) {
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (!f || fscanf(f, "%*d %ld", &pages) != 1) pages = 0;
    if (f) fclose(f);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void must(int rc, const err *e) {
    if (!rc) return;
    fprintf(stderr, "replays: %s\n", e->msg);
    exit(1);
}

/* Every state is drawn, and the document of one format made. */
static void play(const char *path, int nth) {
    replay *r;
    app a;
    cells g = {0};
    strbuf text;
    err e = {0};
    must(replay_load(&r, path, &e), &e);
    const tui_opts o = {.replays = &r, .n_replays = 1};
    must(app_open(&a, &o, &e), &e);
    must(cells_init(&g, COLS, ROWS, false, &e), &e);
    for (int k = 0; k <= r->traj.n_records; k++) {
        app_go(&a, 0, k);
        must(screen_draw(&a, &g, &e), &e);
    }
    const export_format *f = export_formats;
    int n = 0;
    while (f[n].name) n++;
    const trajectory *one = &r->traj;
    strbuf_init(&text, (size_t)1 << 30);
    must(export_write(&f[nth % n], &one, 1, (export_opts){.at = f[nth % n].default_at}, &text, &e), &e);
    strbuf_release(&text);
    cells_release(&g);
    app_close(&a);
    replay_close(r);
}

int main(int argc, char **argv) {
    long times = argc > 1 ? strtol(argv[1], NULL, 10) : 60;
    const char *path = argc > 2 ? argv[2] : "examples/trajectories/sudoku-boe.jsonl";
    double started = clock_now();
    size_t first = 0, now = 0;
    long first_kib = 0;
    for (long i = 0; i < times; i++) {
        play(path, (int)(i % 100));
        if (i == times / WARM) first = allocated(), first_kib = resident_kib();
        now = allocated();
        if (times >= 1000 && i % (times / SHOWN) == 0)
            printf("%6ld  %zu bytes  %ld KiB resident\n", i, now, resident_kib());
    }
    printf("replays: %ld times in %.1f s, %zu bytes allocated at a third and %zu at the end, %ld and %ld KiB "
           "resident\n",
           times, clock_now() - started, first, now, first_kib, resident_kib());
    if (now <= first) return 0;
    fprintf(stderr, "replays: memory grows\n");
    return 1;
}
