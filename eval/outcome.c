/* outcome.c - one line of a results file, out and in. Reals are written with the digits that read back
 * exactly. */
#include "eval/outcome.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval/data.h"
#include "replay/json.h"

void outcome_release(outcome *o) {
    free(o->text);
    *o = (outcome){0};
}

/* Out ------------------------------------------------------------------ */

static void put_real(json_out *o, cJSON *line, const char *key, double v) {
    if (isfinite(v)) json_real(o, line, key, v); /* else not measured */
}

static void put_text(json_out *o, cJSON *line, const char *key, const char *s) {
    strbuf clean;
    strbuf_init(&clean, SIZE_MAX / 4);
    data_utf8(&clean, s, strlen(s));
    if (clean.failed) o->failed = true;
    json_text(o, line, key, clean.data);
    strbuf_release(&clean);
}

static void put_item(json_out *o, cJSON *line, const eval_plan *p, int item) {
    const eval_config *c = &p->configs[plan_config(p, item)];
    char key[EVAL_KEY], seed[24];
    if (!plan_key(p, item, key)) o->failed = true;
    snprintf(seed, sizeof seed, "%" PRIu64, c->seed);
    json_text(o, line, "key", key);
    json_text(o, line, "task", p->task->name);
    put_text(o, line, "example", p->examples.items[plan_example(p, item)].id);
    json_text(o, line, "policy", c->label);
    json_int(o, line, "length", c->length);
    json_text(o, line, "seed", seed);
}

int outcome_write(const eval_plan *p, int item, const outcome *r, strbuf *out, err *e) {
    json_out o = {0};
    cJSON *line = json_object(&o, NULL, NULL);
    put_item(&o, line, p, item);
    if (r->verdict != VERDICT_NONE) json_bool(&o, line, "correct", r->verdict == VERDICT_RIGHT);
    json_int(&o, line, "masks", r->masks);
    json_int(&o, line, "steps", r->steps);
    put_real(&o, line, "tokens_per_step", r->rate);
    if (r->over) json_bool(&o, line, "over_budget", true);
    put_real(&o, line, "nfe", r->nfe);
    json_int(&o, line, "backward_rows", r->backward_rows);
    put_real(&o, line, "seconds", r->seconds);
    put_real(&o, line, "elbo", r->elbo);
    put_real(&o, line, "judge", r->judge);
    put_real(&o, line, "entropy", r->entropy);
    put_real(&o, line, "diversity", r->diversity);
    put_text(&o, line, "text", r->text ? r->text : "");
    char *text = o.failed ? NULL : cJSON_PrintUnformatted(line);
    if (text) strbuf_printf(out, "%s\n", text);
    bool ok = text && !out->failed;
    cJSON_free(text);
    cJSON_Delete(line);
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
