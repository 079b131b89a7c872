/* outcome.c - one line of a results file, out and in. Reals are written with the digits that read back
 * exactly. */
#include "eval/outcome.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval/data.h"

void outcome_release(outcome *o) {
    free(o->text);
    *o = (outcome){0};
}

/* Out ------------------------------------------------------------------ */

static void put_real(cJSON *o, const char *key, double v) {
    char text[40];
    if (!isfinite(v)) return; /* not measured */
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        double back = strtod(text, NULL);
        if (!(back < v) && !(back > v)) break;
    }
    cJSON_AddRawToObject(o, key, text);
}

static void put_int(cJSON *o, const char *key, int64_t v) {
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, v);
    cJSON_AddRawToObject(o, key, text);
}

static void put_text(cJSON *o, const char *key, const char *s) {
    strbuf clean;
    strbuf_init(&clean, SIZE_MAX / 4);
    data_utf8(&clean, s, strlen(s));
    cJSON_AddStringToObject(o, key, clean.data);
    strbuf_release(&clean);
}

static void put_item(cJSON *o, const eval_plan *p, int item) {
    const eval_config *c = &p->configs[plan_config(p, item)];
    char key[EVAL_KEY], seed[24];
    plan_key(p, item, key);
    snprintf(seed, sizeof seed, "%" PRIu64, c->seed);
    cJSON_AddStringToObject(o, "key", key);
    cJSON_AddStringToObject(o, "task", p->task->name);
    put_text(o, "example", p->examples.items[plan_example(p, item)].id);
    cJSON_AddStringToObject(o, "policy", c->label);
    put_int(o, "length", c->length);
    cJSON_AddStringToObject(o, "seed", seed);
}

int outcome_write(const eval_plan *p, int item, const outcome *r, strbuf *out, err *e) {
    cJSON *o = cJSON_CreateObject();
    put_item(o, p, item);
    if (r->verdict != VERDICT_NONE) cJSON_AddBoolToObject(o, "correct", r->verdict == VERDICT_RIGHT);
    put_int(o, "masks", r->masks);
    put_int(o, "steps", r->steps);
    put_real(o, "tokens_per_step", r->rate);
    if (r->over) cJSON_AddBoolToObject(o, "over_budget", true);
    put_real(o, "nfe", r->nfe);
    put_int(o, "backward_rows", r->backward_rows);
    put_real(o, "seconds", r->seconds);
    put_real(o, "elbo", r->elbo);
    put_real(o, "judge", r->judge);
    put_real(o, "entropy", r->entropy);
    put_real(o, "diversity", r->diversity);
    put_text(o, "text", r->text ? r->text : "");
    char *line = cJSON_PrintUnformatted(o);
    if (line) strbuf_printf(out, "%s\n", line);
    bool ok = line && !out->failed;
    cJSON_free(line);
    cJSON_Delete(o);
    return ok ? 0 : err_set(e, ERR_NO_MEMORY, "out of memory for a result");
}

/* In ------------------------------------------------------------------- */

static double get_real(const cJSON *o, const char *key) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, key);
    return cJSON_IsNumber(v) ? v->valuedouble : NAN;
}

/* A count; -1 when it is missing or none. */
static int64_t get_count(const cJSON *o, const char *key) {
    double v = get_real(o, key);
    return v >= 0 && v < 9e15 && floor(v) >= v ? (int64_t)v : -1;
}

static int read_fields(const cJSON *o, char key[EVAL_KEY], outcome *r, err *e) {
    const char *text, *name;
    int rc = data_string(o, "key", &name, e);
    if (!rc) rc = data_string(o, "text", &text, e);
    if (rc) return rc;
    int64_t masks = get_count(o, "masks"), steps = get_count(o, "steps"),
            rows = get_count(o, "backward_rows");
    const cJSON *correct = cJSON_GetObjectItemCaseSensitive(o, "correct");
    *r = (outcome){.known = true,
                   .verdict = !correct                ? VERDICT_NONE
                              : cJSON_IsTrue(correct) ? VERDICT_RIGHT
                                                      : VERDICT_WRONG,
                   .masks = (int)masks,
                   .steps = (int)steps,
                   .rate = get_real(o, "tokens_per_step"),
                   .over = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(o, "over_budget")),
                   .nfe = get_real(o, "nfe"),
                   .seconds = get_real(o, "seconds"),
                   .backward_rows = rows,
                   .elbo = get_real(o, "elbo"),
                   .judge = get_real(o, "judge"),
                   .entropy = get_real(o, "entropy"),
                   .diversity = get_real(o, "diversity")};
    if (strlen(name) != EVAL_KEY - 1 || masks < 0 || masks > INT32_MAX || steps < 0 || steps > INT32_MAX ||
        rows < 0 || !(r->nfe >= 0) || !(r->seconds >= 0) || !(r->rate > 0))
        return err_set(e, ERR_BAD_FORMAT, "a field is missing or out of range");
    memcpy(key, name, EVAL_KEY);
    r->text = strdup(text);
    return r->text ? 0 : err_set(e, ERR_NO_MEMORY, "out of memory for a result");
}

int outcome_read(const char *line, size_t n, char key[EVAL_KEY], outcome *r, err *e) {
    *r = (outcome){0};
    cJSON *o = cJSON_ParseWithLength(line, n);
    int rc = cJSON_IsObject(o) ? read_fields(o, key, r, e) : err_set(e, ERR_BAD_FORMAT, "not a JSON object");
    cJSON_Delete(o);
    return rc;
}
