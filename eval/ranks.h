/* ranks.h - processes of one `mpirun`, where the program was started by it.
 *
 * Open MPI is never linked: a module, libtabes_mpi.so, is loaded when the environment says that mpirun
 * started this process, and a program that was built without it says so. Messages are byte strings. Rank 0
 * hands out work and answers every message; the others ask, so nothing ever waits for two things at once.
 */
#ifndef TABES_EVAL_RANKS_H
#define TABES_EVAL_RANKS_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/status.h"

typedef struct ranks {
    int rank, size;
    int local;      /* processes on this machine */
    int local_rank; /* which of them this is */
    /* 0, or -1 when the library failed. Called by one thread at a time. */
    int (*send)(int to, const char *bytes, size_t n);
    /* Is there a message from anyone (to < 0) or from `from`? Its sender and size. */
    int (*probe)(int from, bool *there, int *who, size_t *n);
    int (*receive)(int who, char *bytes, size_t n);
    void (*close)(void);
    void (*abort)(int code); /* ends all processes */
} ranks;

/* What the module exports as "tabes_ranks_open". NULL: the library would not start. */
typedef const ranks *ranks_open_fn(void);

/* *out is NULL when mpirun did not start this process. ERR_UNSUPPORTED without the module. */
int ranks_open(const ranks **out, err *e) MUST_CHECK;

#endif
