// attention.cu - which kernels an attention goes to.
#include "kernels/cuda/attention.cuh"

void cuda_attention(kernels *k, const k_attn *a) {
    queue *q = queue_of(k);
    if (a->n_spans <= 0 || a->max_q <= 0 || !queue_ready(q)) return;
    if (!queue_bf16(q)) {
        attention_plain<float>(q, a);
    } else if (tensor_head(a->hd)) {
        attention_tensor(q, a);
    } else {
        attention_plain<bf16>(q, a);
    }
    queue_check(q, "attention");
}

void cuda_attention_back(kernels *k, const k_attn_back *a, k_counts *c) {
    queue *q = queue_of(k);
    if (c) c->attn_calls++, c->attn_rows += int64_t(a->seeds) * a->n;
    if (a->n <= 0 || a->seeds <= 0 || !queue_ready(q)) return;
    if (!queue_bf16(q)) {
        attention_back_plain<float>(q, a);
    } else if (tensor_head(a->hd)) {
        attention_back_tensor(q, a);
    } else {
        attention_back_plain<bf16>(q, a);
    }
    queue_check(q, "attention_back");
}
