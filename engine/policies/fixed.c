/* fixed.c - an order that looks at positions alone. */
#include <math.h>

#include "engine/policies/policies.h"

static const char *const orders[] = {"ltr", "rtl", "center-out", NULL};
static const param_def order_def = {
    .name = "order",
    .type = PARAM_CHOICE,
    .choices = orders,
    .def = 0,
    .help = "ltr: left to right, rtl: right to left, center-out: from the middle of "
            "the sequence outwards, left first"};

static double place(const decision *dec, int m) {
    double pos = dec->state.masked[m], middle = (dec->state.n_tokens - 1) / 2.0;
    switch (param_int(dec->params, "order")) {
    case 0:
        return -pos;
    case 1:
        return pos;
    default:
        return -fabs(pos - middle) - (pos > middle ? 0.25 : 0);
    }
}

static int score(decision *dec, err *e) {
    return score_positions(dec, place, e);
}

static const param_def *const params[] = {COMMON_PARAMS, &order_def, NULL};

const policy policy_fixed = {
    .name = "fixed",
    .title = "fixed",
    .help = "Writes in an order that is fixed beforehand, with the schedule and the tokens of the others.",
    .ranks_like = "left-to-right",
    .params = params,
    .score = score,
};
