/* run.c - worker threads over a list of items that are left. */
#include "eval/run.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/base/mem.h"

enum { TICK_NS = 2000000 };

/* What all workers share; `lock` guards everything below it. */
typedef struct hall {
    const eval_run *run;
    outcome *outcomes;
    int *left; /* items to do, ascending */
    int n_left;
    pthread_mutex_t lock;
    int next, done, busy_ranks;
    bool stop;
    err fault; /* the first one */
} hall;

static void fail(hall *h, const err *e) {
    if (!h->stop || !h->fault.code) h->fault = *e;
    h->stop = true;
}

/* Under the lock: the next item, or -1 when there are none. */
static int take(hall *h) {
    const eval_run *r = h->run;
    if (r->cancel && atomic_load(r->cancel) && !h->stop) {
        err e = {0};
        err_set(&e, ERR_CANCELLED, "cancelled");
        fail(h, &e);
    }
    return h->stop || h->next == h->n_left ? -1 : h->left[h->next++];
}

/* Under the lock: an outcome is counted once its line is on disk. Takes the outcome. */
static void give(hall *h, int item, outcome *o, const strbuf *line) {
    err e = {0};
    if (h->run->file && results_append(h->run->file, line, &e)) {
        outcome_release(o);
        fail(h, &e);
        return;
    }
    h->outcomes[item] = *o;
    h->done++;
    if (h->run->progress) h->run->progress(h->run->ctx, h->done, h->n_left);
}

/* Workers -------------------------------------------------------------- */

typedef struct worker {
    hall *h;
    pthread_t thread;
    bool started;
    decoder w;
} worker;

static int open_worker(worker *k, hall *h, err *e) {
    const eval_run *r = h->run;
    k->h = h;
    k->w =
        (decoder){.plan = r->plan, .prompts = r->prompts, .m = r->m, .judge = r->judge, .cancel = r->cancel};
    int rc = denoiser_fork(&k->w.d, r->m->d, e);
    if (!rc && r->judge) rc = denoiser_fork(&k->w.judge_d, r->judge->d, e);
    return rc;
}

static void close_worker(worker *k) {
    if (k->w.d) denoiser_close(k->w.d);
    if (k->w.judge_d) denoiser_close(k->w.judge_d);
}

/* One item from start to file. */
static int work(worker *k, int item, outcome *o, strbuf *line, err *e) {
    strbuf_init(line, SIZE_MAX / 4);
    int rc = decode_item(&k->w, item, o, e);
    if (rc) return rc;
    rc = outcome_write(k->w.plan, item, o, line, e);
    if (rc) outcome_release(o);
    return rc;
}

static void *work_here(void *ctx) {
    worker *k = ctx;
    hall *h = k->h;
    pthread_mutex_lock(&h->lock);
    for (int item; (item = take(h)) >= 0;) {
        pthread_mutex_unlock(&h->lock);
        err e = {0};
        outcome o;
        strbuf line;
        int rc = work(k, item, &o, &line, &e);
        pthread_mutex_lock(&h->lock);
        if (rc) {
            fail(h, &e);
        } else {
            give(h, item, &o, &line);
        }
        strbuf_release(&line);
    }
    pthread_mutex_unlock(&h->lock);
    return NULL;
}

/* Starts the workers; those that could be started are joined whatever happens. None is closed before all have
 * ended: that may wait for a whole device. */
static int with_workers(hall *h, int jobs, void *(*body)(void *), int (*meanwhile)(hall *, err *), err *e) {
    worker *k = mem_new((size_t)jobs, sizeof *k);
    int rc = k ? 0 : err_set(e, ERR_NO_MEMORY, "out of memory for %d workers", jobs);
    for (int i = 0; i < jobs && !rc; i++) rc = open_worker(&k[i], h, e);
    for (int i = 0; i < jobs && !rc; i++) {
        k[i].started = !pthread_create(&k[i].thread, NULL, body, &k[i]);
        if (!k[i].started && i == 0) rc = err_set(e, ERR_NO_MEMORY, "no thread could be started");
    }
    if (!rc && meanwhile) rc = meanwhile(h, e);
    for (int i = 0; k && i < jobs; i++) {
        if (k[i].started) pthread_join(k[i].thread, NULL);
    }
    for (int i = 0; k && i < jobs; i++) close_worker(&k[i]);
    free(k);
    return rc;
}

/* Ranks ---------------------------------------------------------------- *
 *
 * A thread of another rank says 'R', followed by "ITEM LINE" when it has finished one, or 'E' with a code and
 * a message; the rank says 'B' when all its threads have ended. Rank 0 answers with an item's number, or "-1"
 * when there is nothing to do. */

static void tick(void) {
    nanosleep(&(struct timespec){.tv_nsec = TICK_NS}, NULL);
}

static int no_library(err *e) {
    return err_set(e, ERR_IO, "the MPI library failed");
}

/* Under the lock: what rank `who` has to say, and its answer. */
static void answer(hall *h, int who, const char *text, size_t n, err *e) {
    char *end = NULL;
    long item = n > 1 ? strtol(text + 1, &end, 10) : -1;
    if (text[0] == 'E') {
        err theirs = {0};
        err_set(&theirs, (int)item, "rank %d: %s", who, end && *end ? end + 1 : "failed");
        fail(h, &theirs);
    } else if (n > 1 && item >= 0 && item < plan_items(h->run->plan) && *end == ' ') {
        outcome o;
        char key[EVAL_KEY];
        strbuf line;
        strbuf_init(&line, SIZE_MAX / 4);
        strbuf_puts(&line, end + 1);
        err bad = {0};
        if (outcome_read(line.data, line.len, key, &o, &bad)) {
            fail(h, &bad);
        } else {
            give(h, (int)item, &o, &line);
        }
        strbuf_release(&line);
    }
    char reply[16];
    int next = text[0] == 'R' ? take(h) : -1, len = snprintf(reply, sizeof reply, "%d", next);
    if (h->run->ranks->send(who, reply, (size_t)len)) no_library(e);
    h->busy_ranks -= text[0] == 'B';
}

/* Rank 0, beside its workers: answers until every other rank has said that it is done. */
static int serve(hall *h, err *e) {
    const ranks *mpi = h->run->ranks;
    for (bool open = true; open;) {
        bool there = false;
        int who;
        size_t n;
        if (mpi->probe(-1, &there, &who, &n)) return no_library(e);
        if (there) {
            char *text = mem_new(n + 1, 1);
            if (!text) return err_set(e, ERR_NO_MEMORY, "out of memory for a message");
            if (mpi->receive(who, text, n)) no_library(e);
            pthread_mutex_lock(&h->lock);
            answer(h, who, text, n, e);
            pthread_mutex_unlock(&h->lock);
            free(text);
        } else {
            tick();
        }
        if (e->code) return e->code;
        pthread_mutex_lock(&h->lock);
        open = h->busy_ranks > 0;
        pthread_mutex_unlock(&h->lock);
    }
    return 0;
}

/* Another rank's talk with rank 0, under the lock: says `line`, gets the next item. */
static int ask(hall *h, const strbuf *line, int *item, err *e) {
    const ranks *mpi = h->run->ranks;
    char reply[16] = "";
    bool there = false;
    int who;
    size_t n;
    if (mpi->send(0, line->data, line->len)) return no_library(e);
    while (!there) {
        if (mpi->probe(0, &there, &who, &n)) return no_library(e);
        if (!there) tick();
    }
    if (n >= sizeof reply || mpi->receive(0, reply, n)) return no_library(e);
    *item = (int)strtol(reply, NULL, 10);
    return 0;
}

static void *work_there(void *ctx) {
    worker *k = ctx;
    hall *h = k->h;
    strbuf say;
    strbuf_init(&say, SIZE_MAX / 4);
    strbuf_puts(&say, "R");
    for (int item = 0; item >= 0;) {
        err e = {0};
        pthread_mutex_lock(&h->lock);
        if (ask(h, &say, &item, &e)) {
            fail(h, &e);
            item = -1;
        }
        pthread_mutex_unlock(&h->lock);
        if (item < 0) break;
        outcome o;
        strbuf line;
        int rc = work(k, item, &o, &line, &e);
        strbuf_clear(&say);
        if (rc) {
            strbuf_printf(&say, "E%d %s", rc, e.msg);
        } else {
            strbuf_printf(&say, "R%d %s", item, line.data);
            outcome_release(&o);
        }
        strbuf_release(&line);
    }
    strbuf_release(&say);
    return NULL;
}

/* After its workers: what kept them from starting, if anything, and good-bye. */
static int leave(hall *h, int rc, err *e) {
    strbuf say;
    int item;
    strbuf_init(&say, 4096);
    if (rc) {
        strbuf_printf(&say, "E%d %s", rc, e->msg);
        rc = ask(h, &say, &item, e);
    }
    strbuf_clear(&say);
    strbuf_puts(&say, "B");
    if (!rc) rc = ask(h, &say, &item, e);
    strbuf_release(&say);
    return rc;
}

/* Everything ----------------------------------------------------------- */

static int find_left(hall *h, err *e) {
    int n = plan_items(h->run->plan);
    h->left = mem_new((size_t)n, sizeof *h->left);
    if (!h->left) return err_set(e, ERR_NO_MEMORY, "out of memory for %d items", n);
    for (int i = 0; i < n; i++) {
        if (!h->outcomes[i].known) h->left[h->n_left++] = i;
    }
    return 0;
}

int eval_all(const eval_run *r, outcome *outcomes, err *e) {
    hall h = {.run = r, .outcomes = outcomes, .lock = PTHREAD_MUTEX_INITIALIZER};
    int rc = find_left(&h, e);
    if (!rc && r->ranks && r->ranks->rank > 0) {
        rc = leave(&h, with_workers(&h, r->jobs, work_there, NULL, e), e);
    } else if (!rc && r->ranks) {
        h.busy_ranks = r->ranks->size - 1;
        rc = with_workers(&h, r->jobs, work_here, serve, e);
    } else if (!rc && h.n_left) {
        rc = with_workers(&h, r->jobs < h.n_left ? r->jobs : h.n_left, work_here, NULL, e);
    }
    if (!rc && h.fault.code) {
        *e = h.fault;
        rc = h.fault.code;
    }
    free(h.left);
    pthread_mutex_destroy(&h.lock);
    return rc;
}
