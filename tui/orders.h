/* orders.h - where each position stands in the order of pane A against the order of another pane.
 *
 * Over the whole decodes as far as they are known, whatever states are shown. The other pane is the focused
 * one, or B when A is focused. A place is a position's number in the order of unmasking, from 1; a position
 * that a decode has not unmasked yet, or that belongs to the prompt, has none (0).
 */
#ifndef TABES_TUI_ORDERS_H
#define TABES_TUI_ORDERS_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/status.h"

typedef struct orders {
    int other;     /* index of the pane that is compared with A; 0: there is none */
    int n;         /* positions that both panes have */
    int *place[2]; /* [n] of A and of the other */
    int *step[2];  /* [n] the steps that unmasked them, from 1 */
    int *by_size;  /* [n_both] positions, the largest difference first */
    int n_both;    /* positions that both have unmasked */
    int n_one;     /* that one alone has */
    int most;      /* the largest difference, at least 1 */
    int n_alloc;   /* private */
} orders;

typedef struct app app;

/* Recomputed when they are shown; call before drawing. */
int orders_update(app *a, err *e) MUST_CHECK;
void orders_release(orders *o);

/* Place in A minus place in the other: below 0, A unmasks it earlier. False where one has no place. */
bool orders_difference(const orders *o, int pos, int *by);

/* "A 12, C 40: 28 places earlier in A", or what is missing. */
const char *orders_text(const orders *o, int pos, char *buf, size_t size);

/* The key and command. */
unsigned app_orders(app *a, int count);

#endif
