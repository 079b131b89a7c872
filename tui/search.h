/* search.h - `/`: positions of the shown state that a query names.
 *
 *     apples  "5"          text, also across tokens; quotes keep a number from being a position
 *     12  #12              the position
 *     H>3  H<0.1  p<0.5  tis>0  margin<=0.1      what is known there at the shown state
 *     written@12           written by step 12
 */
#ifndef TABES_TUI_SEARCH_H
#define TABES_TUI_SEARCH_H

#include <stdbool.h>

#include "engine/base/status.h"

typedef enum query_kind { QUERY_NONE, QUERY_TEXT, QUERY_POSITION, QUERY_COMPARE, QUERY_WRITTEN } query_kind;
typedef enum query_field { FIELD_ENTROPY, FIELD_PROB, FIELD_TIS, FIELD_MARGIN, N_FIELDS } query_field;
typedef enum query_op { OP_LESS, OP_LESS_EQUAL, OP_MORE, OP_MORE_EQUAL } query_op;

typedef struct query {
    query_kind kind;
    char text[256];
    int number;
    query_field field;
    query_op op;
    double value;
} query;

int query_parse(query *q, const char *text, err *e) MUST_CHECK;

/* What is searched for, and where it is found; [n] belongs to the focused pane's shown state. */
enum { HIT_NONE, HIT_START, HIT_REST };
typedef struct search {
    query q;
    unsigned char *hits;
    int n, n_alloc, count;
} search;

struct app;
/* Finds the hits anew; app_prepare calls it before a frame. */
int search_update(struct app *a, err *e) MUST_CHECK;
void search_release(search *s);
/* Is the position lit in this pane? */
bool search_lit(const struct app *a, int pane, int pos);

#endif
