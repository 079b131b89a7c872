// table.cu - which function does what on a CUDA device.
#include "kernels/cuda/operations.cuh"
#include "kernels/cuda/queue_impl.cuh"

void queue_open_table(kernels *k) {
    k->close = cuda_close;
    k->fork = cuda_fork;
    k->alloc = cuda_alloc;
    k->free = cuda_free;
    k->put = cuda_put;
    k->get = cuda_get;
    k->zero = cuda_zero;
    k->memory = cuda_memory;
    k->fault = cuda_fault;
    k->load = cuda_load;
    k->unload = cuda_unload;
    k->load_floats = cuda_load_floats;
    k->graph_begin = cuda_graph_begin;
    k->graph_end = cuda_graph_end;
    k->embed = cuda_embed;
    k->rows = cuda_rows;
    k->narrow = cuda_narrow;
    k->gate = cuda_gate;
    k->norm = cuda_norm;
    k->norm_back = cuda_norm_back;
    k->head_norm = cuda_head_norm;
    k->head_norm_back = cuda_head_norm_back;
    k->linear = cuda_linear;
    k->logits = cuda_logits;
    k->linear_back = cuda_linear_back;
    k->rope = cuda_rope;
    k->attention = cuda_attention;
    k->attention_back = cuda_attention_back;
    k->swiglu = cuda_swiglu;
    k->swiglu_back = cuda_swiglu_back;
    k->gelu = cuda_gelu;
    k->gelu_back = cuda_gelu_back;
    k->blend = cuda_blend;
    k->head_stats = cuda_head_stats;
    k->entropy_back = cuda_entropy_back;
    k->soft_write = cuda_soft_write;
}
