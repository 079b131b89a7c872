/* param.h - named, ranged parameters: one table feeds flags, forms, JSON fields, help and docs. */
#ifndef TABES_PARAM_H
#define TABES_PARAM_H

#include <stdbool.h>

#include "engine/base/status.h"

typedef enum param_type { PARAM_INT, PARAM_REAL, PARAM_BOOL, PARAM_CHOICE } param_type;

typedef struct param_def {
    const char *name; /* as a flag: --name (with '-'); the JSON field is the same text with '_' */
    param_type type;
    double min, max;            /* inclusive; ignored for BOOL and CHOICE */
    double def;                 /* CHOICE: index; BOOL: 0 or 1 */
    const char *const *choices; /* CHOICE: NULL-terminated */
    const char *help;           /* one line, with the unit and the equation where there is one */
} param_def;

enum { PARAM_MAX = 32 };

/* Values for one policy's parameter list; index i belongs to defs[i]. */
typedef struct param_set {
    const param_def *const *defs; /* borrowed, NULL-terminated */
    int n;
    double v[PARAM_MAX];
    bool given[PARAM_MAX]; /* set by a person rather than a default */
} param_set;

/* All defaults. */
void param_init(param_set *s, const param_def *const *defs);

/* Index of a name ('-' and '_' are the same), or -1. */
int param_find(const param_set *s, const char *name);

/* Parse and range-check `text`. ERR_NOT_FOUND (no such parameter), ERR_BAD_ARGUMENT (what was
 * found, what is allowed). BOOL: on/off/true/false/1/0/yes/no. */
int param_parse(param_set *s, const char *name, const char *text, err *e) MUST_CHECK;

/* Values by name; the name must exist (assert). */
double param_real(const param_set *s, const char *name);
int param_int(const param_set *s, const char *name);
bool param_bool(const param_set *s, const char *name);
const char *param_choice(const param_set *s, const char *name);

/* As text that param_parse reads back exactly ("0.25", "on", "masked"). Returns buf. */
const char *param_format(const param_set *s, int i, char *buf, int size);

#endif
