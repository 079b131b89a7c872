/* export_color.c - colourings, scales over whole runs, and ramps. */
#include "replay/export_color.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "engine/base/mem.h"

const export_coloring export_colorings[N_EXPORT_COLORS] = {
    [EXPORT_PLAIN] = {"plain", "plain", "no colour: only what is masked, written and prompt", EXPORT_EMBER},
    [EXPORT_ENTROPY] = {"entropy", "entropy",
                        "how undecided the model is about a position: 0 when one token is certain, the "
                        "maximum when all are equally likely",
                        EXPORT_EMBER},
    [EXPORT_CONFIDENCE] = {"confidence", "confidence",
                           "probability of the likeliest token; of a written one, of the token written",
                           EXPORT_SEA},
    [EXPORT_TIS] = {"tis", "token importance score (TIS)",
                    "how much the entropy of the masked positions is expected to fall when the position is "
                    "written; negative when it rises",
                    EXPORT_SIGNED},
    [EXPORT_ORDER] = {"order", "order of writing", "which token was written first, which last", EXPORT_SEA},
};

/* Ramps ------------------------------------------------------------------- */

enum { MAX_STOPS = 9 };

static const struct {
    int n;
    uint32_t dark[MAX_STOPS], light[MAX_STOPS];
} ramps[N_EXPORT_RAMPS] = {
    [EXPORT_EMBER] = {9,
                      {0x000004, 0x1e0e44, 0x501478, 0x822581, 0xb73779, 0xe45365, 0xfa8864, 0xfec389,
                       0xfcfdbf},
                      {0xfcfdbf, 0xfec389, 0xfa8864, 0xe45365, 0xb73779, 0x822581, 0x501478, 0x1e0e44,
                       0x000004}},
    [EXPORT_SEA] = {9,
                    {0x440154, 0x462c7a, 0x3b528a, 0x2d728e, 0x21918c, 0x2aae7f, 0x5fc860, 0xacdc31,
                     0xfde725},
                    {0xfde725, 0xacdc31, 0x5fc860, 0x2aae7f, 0x21918c, 0x2d728e, 0x3b528a, 0x462c7a,
                     0x440154}},
    [EXPORT_SIGNED] = {7,
                       {0x5fafff, 0x5f87af, 0x5f5f87, 0x303030, 0x875f00, 0xaf8700, 0xffaf00},
                       {0x005a9e, 0x3f8fd0, 0xa9cdec, 0xf1f0ee, 0xf2cf8c, 0xd1880f, 0x8a4b00}},
};

const uint32_t *export_ramp_stops(export_ramp r, bool dark, int *n) {
    assert(r >= 0 && r < N_EXPORT_RAMPS);
    *n = ramps[r].n;
    return dark ? ramps[r].dark : ramps[r].light;
}

static uint32_t blend(uint32_t a, uint32_t b, double f) {
    uint32_t out = 0;
    for (int shift = 16; shift >= 0; shift -= 8) {
        double v = (a >> shift & 0xFF) * (1 - f) + (b >> shift & 0xFF) * f;
        out |= (uint32_t)lround(v) << shift;
    }
    return out;
}

uint32_t export_ramp_color(export_ramp r, bool dark, double x) {
    int n;
    const uint32_t *stops = export_ramp_stops(r, dark, &n);
    double at = (x > 0 ? x < 1 ? x : 1 : 0) * (n - 1); /* NaN becomes 0 */
    int i = (int)at;
    return i >= n - 1 ? stops[n - 1] : blend(stops[i], stops[i + 1], at - i);
}

bool export_wants_black(uint32_t rgb) {
    static const double weight[3] = {0.2126, 0.7152, 0.0722};
    double l = 0.05;
    for (int i = 0; i < 3; i++) {
        double c = (rgb >> (16 - 8 * i) & 0xFF) / 255.0;
        l += weight[i] * (c <= 0.03928 ? c / 12.92 : pow((c + 0.055) / 1.055, 2.4));
    }
    return l / 0.05 > 1.05 / l;
}

/* Scales ------------------------------------------------------------------ */

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int n_tis(const step_record *r) {
    return !r ? 0 : r->tis ? r->n_cand : r->observed_tis ? r->n_observed : 0;
}

/* 95th percentile of |TIS|: one outlier must not grey out all others. */
static int find_clip(const trajectory *const *runs, int n, export_scale *out, err *e) {
    size_t count = 0, at = 0;
    for (int i = 0; i < n; i++) {
        for (int k = 0; k <= runs[i]->n_records; k++)
            count += (size_t)n_tis(trajectory_record_at(runs[i], k));
    }
    double *all = mem_new(count, sizeof *all);
    if (!all) return err_set(e, ERR_NO_MEMORY, "export: out of memory for %zu scores", count);
    for (int i = 0; i < n; i++) {
        for (int k = 0; k <= runs[i]->n_records; k++) {
            const step_record *r = trajectory_record_at(runs[i], k);
            const double *v = r && r->tis ? r->tis : r ? r->observed_tis : NULL;
            for (int j = 0; j < n_tis(r); j++) all[at++] = fabs(v[j]);
        }
    }
    if (count) qsort(all, count, sizeof *all, by_size);
    out->tis_clip = count ? all[(size_t)(0.95 * (double)(count - 1))] : 0;
    free(all);
    return 0;
}

/* Positions that end up written, or will have been once every mask is. */
static int count_written(const trajectory *t) {
    int n = 0;
    for (int i = 0; i < t->head.n_tokens; i++)
        n += t->head.start[i] == t->head.mask_id || t->last[i] != t->head.start[i];
    return n;
}

int export_scale_of(const trajectory *const *runs, int n, export_scale *out, err *e) {
    *out = (export_scale){.entropy_max = log(2), .order_max = 1};
    for (int i = 0; i < n; i++) {
        double top = runs[i]->head.n_vocab > 2 ? log(runs[i]->head.n_vocab - 1) : 0;
        int written = count_written(runs[i]);
        if (top > out->entropy_max) out->entropy_max = top;
        if (written > out->order_max) out->order_max = written;
    }
    return find_clip(runs, n, out, e);
}

double export_scale_at(const export_scale *s, export_color c, double value) {
    switch (c) {
    case EXPORT_ENTROPY:
        return value / s->entropy_max;
    case EXPORT_TIS:
        return s->tis_clip > 0 ? 0.5 + 0.5 * value / s->tis_clip : 0.5;
    case EXPORT_ORDER:
        return s->order_max > 1 ? (value - 1) / (s->order_max - 1) : 0;
    default:
        return value;
    }
}
