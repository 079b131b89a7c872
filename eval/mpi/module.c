/* module.c - ranks over Open MPI. A library of its own, so that the program runs where there is none. */
#include <mpi.h>
#include <limits.h>
#include <stdlib.h>

#include "eval/ranks.h"

enum { TAG = 1 };

static int mpi_send(int to, const char *bytes, size_t n) {
    return n > INT_MAX || MPI_Send(bytes, (int)n, MPI_CHAR, to, TAG, MPI_COMM_WORLD) != MPI_SUCCESS ? -1 : 0;
}

static int mpi_probe(int from, bool *there, int *who, size_t *n) {
    MPI_Status from_whom;
    int flag = 0, count = 0;
    if (MPI_Iprobe(from < 0 ? MPI_ANY_SOURCE : from, TAG, MPI_COMM_WORLD, &flag, &from_whom) != MPI_SUCCESS)
        return -1;
    *there = flag;
    if (!flag) return 0;
    if (MPI_Get_count(&from_whom, MPI_CHAR, &count) != MPI_SUCCESS) return -1;
    *who = from_whom.MPI_SOURCE;
    *n = (size_t)count;
    return 0;
}

static int mpi_receive(int who, char *bytes, size_t n) {
    return MPI_Recv(bytes, (int)n, MPI_CHAR, who, TAG, MPI_COMM_WORLD, MPI_STATUS_IGNORE) != MPI_SUCCESS ? -1
                                                                                                         : 0;
}

static void mpi_close(void) {
    MPI_Finalize();
}

static void mpi_abort(int code) {
    MPI_Abort(MPI_COMM_WORLD, code);
}

static int number_in(const char *variable, int otherwise) {
    const char *text = getenv(variable);
    return text ? (int)strtol(text, NULL, 10) : otherwise;
}

__attribute__((visibility("default"))) ranks_open_fn tabes_ranks_open;
const ranks *tabes_ranks_open(void) {
    static ranks r;
    int provided;
    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &provided) != MPI_SUCCESS) return NULL;
    if (provided < MPI_THREAD_SERIALIZED) {
        MPI_Finalize();
        return NULL;
    }
    r = (ranks){
        .send = mpi_send, .probe = mpi_probe, .receive = mpi_receive, .close = mpi_close, .abort = mpi_abort};
    MPI_Comm_rank(MPI_COMM_WORLD, &r.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &r.size);
    r.local = number_in("OMPI_COMM_WORLD_LOCAL_SIZE", 1);
    r.local_rank = number_in("OMPI_COMM_WORLD_LOCAL_RANK", 0);
    return &r;
}
