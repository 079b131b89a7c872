/* floor.c - bytes and operations of a forward, a backward and soft writes. */
#include "tests/gpu/floor.h"

/* Widths of a layer, as doubles: products of them do not fit an int. */
typedef struct widths {
    double d, q, kv, f, V, L;
} widths;

static widths widths_of(const denoiser_info *i) {
    double hd = (double)i->d_model / i->n_heads;
    return (widths){i->d_model, i->d_model, i->n_kv_heads * hd, i->mlp_size, i->n_vocab, i->n_layers};
}

static double layer_weights(const widths *w) {
    return w->d * (w->q + 2 * w->kv) + w->q * w->d + 3 * w->d * w->f;
}

static double head_weights(const widths *w) {
    return w->V * w->d;
}

/* Elements that enter and leave the four products of a layer, of one row. */
static double layer_elements(const widths *w) {
    double in = w->d + w->q + w->d + w->f, out = w->q + 2 * w->kv + w->d + 2 * w->f + w->d;
    return in + out;
}

work work_forward(const denoiser_info *info, int act_bytes, int n, int n_rows) {
    widths w = widths_of(info);
    double layers = w.L * layer_weights(&w), head = head_weights(&w);
    work r;
    r.bytes = act_bytes * (layers + head + n * w.L * layer_elements(&w)) + 8.0 * n_rows * w.V;
    r.flops = 2 * layers * n + 2 * head * n_rows + 4.0 * n * n * w.q * w.L;
    return r;
}

/* Attention: scores again, dP and dQ for A's queries over all keys; dK and dV for A's own. */
work work_backward(const denoiser_info *info, int act_bytes, int n, int n_active, int n_head) {
    widths w = widths_of(info);
    double layers = w.L * layer_weights(&w), head = head_weights(&w), a = n_active;
    double keys = 2 * w.kv * n * w.L;
    work r;
    r.bytes = act_bytes * (layers + head + a * w.L * layer_elements(&w) + keys) + 4.0 * n_head * w.V;
    r.flops = 2 * layers * a + 2 * head * n_head + (6 * a * n + 4 * a * a) * w.q * w.L;
    return r;
}

work work_soft(const denoiser_info *info, int act_bytes, int n_cand) {
    widths w = widths_of(info);
    double table = head_weights(&w);
    return (work){act_bytes * table + 4.0 * n_cand * w.V, 2 * table * n_cand};
}

double floor_ms(work w, const ceilings *c) {
    double moving = w.bytes / c->bytes, computing = w.flops / c->flops;
    return 1e3 * (moving > computing ? moving : computing);
}
