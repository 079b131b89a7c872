/* args.c - one getopt_long table per command, made from the shared options, the command's own and the
 * policies' parameters.
 */
#include "cli/args.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"

enum { MAX_OPTIONS = 192, MAX_SPELLING = 48 };

typedef enum option_kind { OPT_SHARED, OPT_EXTRA, OPT_PARAM, OPT_PARAM_OFF } option_kind;

typedef enum shared_id {
    SHARED_HELP,
    SHARED_MODEL,
    SHARED_THREADS,
    SHARED_DEVICE,
    SHARED_PRECISION,
    SHARED_TOKENIZER,
    SHARED_MASK_ID,
    SHARED_SHIFT,
    SHARED_NO_SHIFT,
    SHARED_PROMPT,
    SHARED_PROMPT_FILE,
    SHARED_PROMPT_TOKENS,
    SHARED_LENGTH,
    SHARED_TEMPLATE,
    SHARED_SYSTEM,
    SHARED_RAW,
    SHARED_POLICY,
    SHARED_POLICIES,
    SHARED_SEED,
    SHARED_JSON,
    SHARED_QUIET
} shared_id;

typedef struct shared_option {
    const char *name;
    int letter;
    bool has_value;
    unsigned group; /* 0: every command */
} shared_option;

static const shared_option shared_options[] = {
    [SHARED_HELP] = {"help", 'h', false, 0},
    [SHARED_MODEL] = {"model", 'm', true, CLI_MODEL},
    [SHARED_THREADS] = {"threads", 0, true, CLI_MODEL},
    [SHARED_DEVICE] = {"device", 0, true, CLI_MODEL},
    [SHARED_PRECISION] = {"precision", 0, true, CLI_MODEL},
    [SHARED_TOKENIZER] = {"tokenizer", 0, true, CLI_MODEL},
    [SHARED_MASK_ID] = {"mask-id", 0, true, CLI_MODEL},
    [SHARED_SHIFT] = {"shift", 0, false, CLI_MODEL},
    [SHARED_NO_SHIFT] = {"no-shift", 0, false, CLI_MODEL},
    [SHARED_PROMPT] = {"prompt", 'p', true, CLI_PROMPT},
    [SHARED_PROMPT_FILE] = {"prompt-file", 0, true, CLI_PROMPT},
    [SHARED_PROMPT_TOKENS] = {"prompt-tokens", 0, true, CLI_PROMPT},
    [SHARED_LENGTH] = {"length", 0, true, CLI_PROMPT},
    [SHARED_TEMPLATE] = {"template", 0, true, CLI_PROMPT},
    [SHARED_SYSTEM] = {"system", 0, true, CLI_PROMPT},
    [SHARED_RAW] = {"raw", 0, false, CLI_PROMPT},
    [SHARED_POLICY] = {"policy", 0, true, CLI_POLICY},
    [SHARED_POLICIES] = {"policies", 0, true, CLI_POLICIES},
    [SHARED_SEED] = {"seed", 0, true, CLI_SEED},
    [SHARED_JSON] = {"json", 0, false, CLI_JSON},
    [SHARED_QUIET] = {"quiet", 'q', false, CLI_QUIET},
};

enum { N_SHARED = (int)(sizeof shared_options / sizeof shared_options[0]) };

/* What one entry of the getopt table stands for. */
typedef struct option_entry {
    option_kind kind;
    int index;         /* of shared_options or the command's extras */
    const char *param; /* OPT_PARAM*: the parameter's name */
    char spelling[MAX_SPELLING];
} option_entry;

typedef struct option_table {
    const command *cmd;
    const cli_extra *extra;
    int n;
    option_entry entries[MAX_OPTIONS];
    struct option longs[MAX_OPTIONS + 1];
    char shorts[2 * MAX_OPTIONS + 2];
} option_table;

/* Option values ------------------------------------------------------- */

int cli_parse_int(const char *text, const char *what, int64_t low, int64_t high, int64_t *out, err *e) {
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (end == text || *end || errno || v < low || v > high) {
        return err_set(e, ERR_BAD_ARGUMENT,
                       "%s: '%.60s', expected a whole number from %" PRId64 " to %" PRId64, what, text, low,
                       high);
    }
    *out = v;
    return 0;
}

int cli_parse_real(const char *text, const char *what, double low, double high, double *out, err *e) {
    char *end;
    double v = strtod(text, &end);
    if (end == text || *end || !(v >= low && v <= high)) {
        return err_set(e, ERR_BAD_ARGUMENT, "%s: '%.60s', expected a number from %g to %g", what, text, low,
                       high);
    }
    *out = v;
    return 0;
}

static int parse_seed(const char *text, uint64_t *out, err *e) {
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || errno) {
        return err_set(e, ERR_BAD_ARGUMENT, "--seed: '%.60s', expected a whole number from 0 to %" PRIu64,
                       text, UINT64_MAX);
    }
    *out = v;
    return 0;
}

static int bad_element(const cJSON *item, const char *what, int index, int n_vocab, err *e) {
    char *found = cJSON_PrintUnformatted(item);
    int rc = err_set(e, ERR_BAD_ARGUMENT, "%s: element %d (from 0) is %.40s, the model has ids 0..%d", what,
                     index, found ? found : "unreadable", n_vocab - 1);
    cJSON_free(found);
    return rc;
}

int cli_parse_ids(const char *json, const char *what, int n_vocab, int32_t **ids, int *n, err *e) {
    *ids = NULL;
    *n = 0;
    cJSON *root = cJSON_ParseWithOpts(json, NULL, true);
    if (!cJSON_IsArray(root)) {
        cJSON_Delete(root);
        return err_set(e, ERR_BAD_ARGUMENT, "%s: '%.40s' is not a JSON array of token ids such as [1,2,3]",
                       what, json);
    }
    int rc = 0, count = cJSON_GetArraySize(root), i = 0;
    int32_t *out = mem_new((size_t)count, sizeof *out);
    if (!out) rc = err_set(e, ERR_NO_MEMORY, "%s: out of memory", what);
    const cJSON *item;
    cJSON_ArrayForEach(item, root) {
        if (rc) break;
        double v = cJSON_IsNumber(item) ? item->valuedouble : -1.0;
        if (v >= 0.0 && v < n_vocab && floor(v) >= v) {
            out[i++] = (int32_t)v;
        } else {
            rc = bad_element(item, what, i, n_vocab, e);
        }
    }
    cJSON_Delete(root);
    if (rc) {
        free(out);
        return rc;
    }
    *ids = out;
    *n = count;
    return 0;
}

/* The option table ---------------------------------------------------- */

static bool table_has(const option_table *t, const char *name) {
    for (int i = 0; i < t->n; i++) {
        if (!strcmp(t->entries[i].spelling, name)) return true;
    }
    return false;
}

/* Adds one option unless its name is taken: earlier entries win. */
static void table_add(option_table *t, const char *prefix, const char *name, int letter, bool has_value,
                      option_entry entry) {
    char spelling[MAX_SPELLING];
    snprintf(spelling, sizeof spelling, "%s%s", prefix, name);
    if (t->n == MAX_OPTIONS || table_has(t, spelling)) return;
    memcpy(entry.spelling, spelling, sizeof spelling);
    t->entries[t->n] = entry;
    t->longs[t->n] = (struct option){.name = t->entries[t->n].spelling,
                                     .has_arg = has_value ? required_argument : no_argument,
                                     .val = 256 + t->n};
    if (letter > 0) {
        size_t len = strlen(t->shorts);
        snprintf(t->shorts + len, sizeof t->shorts - len, "%c%s", letter, has_value ? ":" : "");
    }
    t->n++;
}

static void table_init(option_table *t, const command *c, unsigned groups, const cli_extra *extra) {
    memset(t, 0, sizeof *t);
    t->cmd = c;
    t->extra = extra;
    t->shorts[0] = ':'; /* getopt prints nothing itself */
    for (int i = 0; extra && extra[i].name; i++) {
        table_add(t, "", extra[i].name, extra[i].letter, extra[i].text != NULL,
                  (option_entry){.kind = OPT_EXTRA, .index = i});
    }
    for (int i = 0; i < N_SHARED; i++) {
        const shared_option *o = &shared_options[i];
        if (o->group && !(groups & o->group)) continue;
        table_add(t, "", o->name, o->letter, o->has_value, (option_entry){.kind = OPT_SHARED, .index = i});
    }
    for (int p = 0; (groups & CLI_POLICY) && policies[p]; p++) {
        for (const param_def *const *d = policies[p]->params; *d; d++) {
            const char *name = (*d)->name;
            table_add(t, "", name, 0, true, (option_entry){.kind = OPT_PARAM, .param = name});
            if ((*d)->type != PARAM_BOOL) continue;
            table_add(t, "no-", name, 0, false, (option_entry){.kind = OPT_PARAM_OFF, .param = name});
        }
    }
}

/* The entry behind a value that getopt_long returned: 256 + index, or a letter. */
static const option_entry *table_find(const option_table *t, int val) {
    if (val >= 256) return &t->entries[val - 256];
    for (int i = 0; i < t->n; i++) {
        const option_entry *o = &t->entries[i];
        if (o->kind == OPT_SHARED && shared_options[o->index].letter == val) return o;
        if (o->kind == OPT_EXTRA && t->extra[o->index].letter == val) return o;
    }
    return NULL;
}

/* Number of single-character edits between two words, for suggestions; long words count as far. */
static int edit_distance(const char *a, const char *b) {
    enum { MAX = 32 };
    size_t n = strlen(a), m = strlen(b);
    if (n >= MAX || m >= MAX) return MAX;
    int row[MAX + 1];
    for (size_t j = 0; j <= m; j++) row[j] = (int)j;
    for (size_t i = 1; i <= n; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= m; j++) {
            int replace = diagonal + (a[i - 1] != b[j - 1]);
            int step = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = replace < step ? replace : step;
        }
    }
    return row[m];
}

const char *cli_suggest(const char *word, const char *const *names, int n) {
    int best = 3;
    const char *found = NULL;
    for (int i = 0; i < n; i++) {
        int distance = edit_distance(word, names[i]);
        if (distance < best) {
            best = distance;
            found = names[i];
        }
    }
    return found;
}

static int unknown_option(const option_table *t, const char *arg) {
    if (arg[0] != '-' || arg[1] != '-') return cli_usage_error(t->cmd, "unknown option '%.60s'", arg);
    char name[MAX_SPELLING];
    size_t len = strcspn(arg + 2, "=");
    snprintf(name, sizeof name, "%.*s", (int)(len < sizeof name ? len : sizeof name - 1), arg + 2);
    const char *names[MAX_OPTIONS];
    int matches = 0;
    for (int i = 0; i < t->n; i++) {
        names[i] = t->entries[i].spelling;
        matches += !strncmp(names[i], name, strlen(name));
    }
    if (matches > 1) return cli_usage_error(t->cmd, "option --%s is ambiguous", name);
    const char *near = cli_suggest(name, names, t->n);
    if (near) return cli_usage_error(t->cmd, "unknown option --%s, did you mean --%s?", name, near);
    return cli_usage_error(t->cmd, "unknown option --%s", name);
}

/* Parsing ------------------------------------------------------------- */

static void add_all_policies(cli_args *a) {
    a->n_policies = 0;
    a->all_policies = true;
    for (int i = 0; i < CLI_MAX_POLICIES && policies[i]; i++)
        a->policies[a->n_policies++].policy = policies[i];
}

/* Comma separated names; --policy may also be given more than once. */
static int add_policies(cli_args *a, const char *names, err *e) {
    int max = a->max_policies ? a->max_policies : 1;
    if (max == CLI_MAX_POLICIES && !strcmp(names, "all")) {
        add_all_policies(a);
        return 0;
    }
    while (*names) {
        char name[40];
        size_t len = strcspn(names, ",");
        snprintf(name, sizeof name, "%.*s", (int)(len < sizeof name ? len : sizeof name - 1), names);
        const policy *p = policy_find(name);
        if (!p)
            return err_set(e, ERR_BAD_ARGUMENT, "unknown policy '%s'; there are: %s", name, policy_names());
        if (a->n_policies == max) {
            return err_set(e, ERR_BAD_ARGUMENT, "--policy %s: at most %d can be chosen here", name, max);
        }
        a->policies[a->n_policies++].policy = p;
        names += len + (names[len] == ',');
    }
    return 0;
}

/* Form only: whether the device is there turns out when the model is opened. */
static int set_device(cli_args *a, const char *name, err *e) {
    bool known = !strcmp(name, "auto") || !strcmp(name, "cpu") || !strcmp(name, "cuda");
    size_t digits = strncmp(name, "cuda:", 5) ? 0 : strspn(name + 5, "0123456789");
    if (!known && (!digits || digits > 3 || name[5 + digits])) {
        return err_set(e, ERR_BAD_ARGUMENT,
                       "--device: '%.40s', expected auto, cpu, cuda or cuda:N (a GPU's number)", name);
    }
    a->device = name;
    return 0;
}

static int set_precision(cli_args *a, const char *name, err *e) {
    static const char *const names[] = {
        [K_PRECISION_AUTO] = "auto", [K_PRECISION_F32] = "f32", [K_PRECISION_BF16] = "bf16"};
    for (int i = 0; i < (int)(sizeof names / sizeof names[0]); i++) {
        if (strcmp(name, names[i])) continue;
        a->precision = (k_precision)i;
        return 0;
    }
    return err_set(e, ERR_BAD_ARGUMENT, "--precision: '%.40s', expected auto, f32 or bf16", name);
}

static int set_prompt(cli_args *a, const char **where, const char *value, err *e) {
    *where = value;
    int given = (a->prompt != NULL) + (a->prompt_file != NULL) + (a->prompt_tokens != NULL);
    if (given <= 1) return 0;
    return err_set(e, ERR_BAD_ARGUMENT, "give only one of --prompt, --prompt-file and --prompt-tokens");
}

static int take_shared(cli_args *a, shared_id id, const char *value, err *e) {
    int64_t number = 0;
    int rc = 0;
    switch (id) {
    case SHARED_HELP:
        break;
    case SHARED_MODEL:
        a->model = value;
        break;
    case SHARED_THREADS:
        rc = cli_parse_int(value, "--threads", 1, 1024, &number, e);
        a->threads = (int)number;
        break;
    case SHARED_DEVICE:
        rc = set_device(a, value, e);
        break;
    case SHARED_PRECISION:
        rc = set_precision(a, value, e);
        break;
    case SHARED_TOKENIZER:
        a->tokenizer = value;
        break;
    case SHARED_MASK_ID:
        rc = cli_parse_int(value, "--mask-id", 0, INT32_MAX, &number, e);
        a->mask_id = (int32_t)number;
        a->mask_given = true;
        break;
    case SHARED_SHIFT:
    case SHARED_NO_SHIFT:
        a->shift = id == SHARED_SHIFT ? 1 : -1;
        break;
    case SHARED_TEMPLATE:
        a->chat = value;
        break;
    case SHARED_SYSTEM:
        a->briefing = value;
        break;
    case SHARED_RAW:
        a->raw = true;
        break;
    case SHARED_PROMPT:
        rc = set_prompt(a, &a->prompt, value, e);
        break;
    case SHARED_PROMPT_FILE:
        rc = set_prompt(a, &a->prompt_file, value, e);
        break;
    case SHARED_PROMPT_TOKENS:
        rc = set_prompt(a, &a->prompt_tokens, value, e);
        break;
    case SHARED_LENGTH:
        rc = cli_parse_int(value, "--length", 0, 1 << 20, &number, e);
        a->length = (int)number;
        break;
    case SHARED_POLICY:
    case SHARED_POLICIES:
        rc = add_policies(a, value, e);
        break;
    case SHARED_SEED:
        rc = parse_seed(value, &a->seed, e);
        a->seed_given = true;
        break;
    case SHARED_JSON:
        a->json = true;
        break;
    case SHARED_QUIET:
        a->quiet = true;
        break;
    }
    return rc;
}

static int take_option(cli_args *a, const option_table *t, const option_entry *o, const char *value, err *e) {
    if (o->kind == OPT_SHARED) return take_shared(a, (shared_id)o->index, value, e);
    if (o->kind == OPT_EXTRA) {
        const cli_extra *x = &t->extra[o->index];
        int i = 0;
        while (x->letter == CLI_SEVERAL && i < CLI_MAX_SEVERAL && x->text[i]) i++;
        if (i == CLI_MAX_SEVERAL)
            return err_set(e, ERR_BAD_ARGUMENT, "--%s is given more than %d times", x->name, CLI_MAX_SEVERAL);
        if (x->text) {
            x->text[i] = value;
        } else {
            *x->flag = true;
        }
        return 0;
    }
    if (a->n_settings == CLI_MAX_SETTINGS) return err_set(e, ERR_BAD_ARGUMENT, "too many parameters given");
    a->settings[a->n_settings++] = (cli_setting){o->param, o->kind == OPT_PARAM_OFF ? "off" : value};
    return 0;
}

/* Parameters of every chosen policy: defaults, the model's tuning, then what was given. */
int cli_fill_policies(cli_args *a, const model_tuning *tuning, err *e) {
    for (int i = 0; i < a->n_policies; i++)
        policy_defaults(a->policies[i].policy, tuning, &a->policies[i].params);
    for (int k = 0; k < a->n_settings; k++) {
        const cli_setting *s = &a->settings[k];
        bool taken = false;
        for (int i = 0; i < a->n_policies; i++) {
            param_set *params = &a->policies[i].params;
            if (param_find(params, s->name) < 0) continue;
            int rc = param_parse(params, s->name, s->value, e);
            if (rc) return rc;
            taken = true;
        }
        if (taken) continue;
        /* Every option here belongs to some policy, so one set of flags may serve a comparison of several. */
        if (tuning && !a->quiet) {
            cli_note("note: --%s is not used by policy %s", s->name, a->policies[0].policy->name);
        }
    }
    return 0;
}

static int take_operands(cli_args *a, const option_table *t, unsigned groups, int argc, char **argv) {
    for (int i = optind; i < argc; i++) {
        if (!(groups & CLI_OPERANDS)) return cli_usage_error(t->cmd, "unexpected argument '%.80s'", argv[i]);
        if (a->n_operands == CLI_MAX_OPERANDS) return cli_usage_error(t->cmd, "too many arguments");
        a->operands[a->n_operands++] = argv[i];
    }
    return -1;
}

static int parse_with(option_table *t, cli_args *a, unsigned groups, int argc, char **argv) {
    err e = {0};
    int val;
    optind = 0; /* glibc: start afresh */
    while ((val = getopt_long(argc, argv, t->shorts, t->longs, NULL)) != -1) {
        const char *arg = argv[optind > 0 ? optind - 1 : 0];
        if (val == ':') return cli_usage_error(t->cmd, "option '%.60s' needs a value", arg);
        if (val == '?' && optopt >= 256) {
            return cli_usage_error(t->cmd, "option --%s takes no value", t->entries[optopt - 256].spelling);
        }
        if (val == '?' && optopt) return cli_usage_error(t->cmd, "unknown option -%c", optopt);
        if (val == '?') return unknown_option(t, arg);
        const option_entry *o = table_find(t, val);
        if (!o) return cli_usage_error(t->cmd, "unknown option '%.60s'", arg);
        if (o->kind == OPT_SHARED && o->index == SHARED_HELP) return cli_help(t->cmd);
        if (take_option(a, t, o, optarg, &e)) return cli_usage_error(t->cmd, "%s", e.msg);
    }
    int rc = take_operands(a, t, groups, argc, argv);
    if (rc >= 0) return rc;
    if (groups & CLI_POLICY) {
        if (!a->n_policies && a->default_policies && add_policies(a, a->default_policies, &e)) {
            return cli_usage_error(t->cmd, "%s", e.msg);
        }
        if (a->n_policies && cli_fill_policies(a, NULL, &e)) return cli_usage_error(t->cmd, "%s", e.msg);
    }
    return -1;
}

int cli_parse(cli_args *a, const command *c, unsigned groups, const cli_extra *extra, int argc, char **argv) {
    a->length = -1;
    option_table *t = mem_new(1, sizeof *t);
    if (!t) return cli_usage_error(c, "out of memory");
    table_init(t, c, groups, extra);
    int rc = parse_with(t, a, groups, argc, argv);
    free(t);
    return rc;
}
