/* cmd_policies.c - the table of policies and parameters, printed from the table that the code uses. */
#include <string.h>

#include "cli/args.h"
#include "cli/doc.h"

static int policies_main(int argc, char **argv);

const command cmd_policies = {
    .name = "policies",
    .summary = "the unmasking policies and their parameters",
    .usage = "usage: tabes policies [NAME...] [--json]\n"
             "\n"
             "Prints every policy (or those named) with its parameters: type, range, default, meaning. Those "
             "of all\n"
             "policies come once, at the end.\n"
             "The same names are options of run, score and open (--rho 0.5) and fields of recordings (rho).\n"
             "\n" HELP_JSON,
    .run = policies_main,
};

/* "0.25", "on", "masked": as an option would be written. */
static const char *default_text(const policy *p, int i, char *buf, int size) {
    param_set s;
    policy_defaults(p, NULL, &s);
    return param_format(&s, i, buf, size);
}

static void range_text(const param_def *d, char *buf, size_t size) {
    size_t used = 0;
    buf[0] = '\0';
    switch (d->type) {
    case PARAM_INT:
        snprintf(buf, size, "whole number, %.0f to %.0f", d->min, d->max);
        break;
    case PARAM_REAL:
        snprintf(buf, size, "number, %g to %g", d->min, d->max);
        break;
    case PARAM_BOOL:
        snprintf(buf, size, "on or off");
        break;
    case PARAM_CHOICE:
        for (const char *const *c = d->choices; *c && used < size; c++) {
            int n = snprintf(buf + used, size - used, "%s%s", used ? ", " : "", *c);
            used += n > 0 ? (size_t)n : 0;
        }
        break;
    }
}

static bool is_common(const param_def *d) {
    static const param_def *const common[] = {COMMON_PARAMS, NULL};
    for (const param_def *const *c = common; *c; c++) {
        if (*c == d) return true;
    }
    return false;
}

static void print_param(const policy *p, int i) {
    char range[200], def[40], text[280];
    range_text(p->params[i], range, sizeof range);
    default_text(p, i, def, sizeof def);
    if (strlen(range) + strlen(def) < 45) {
        printf("  --%-20s %s; default %s\n", p->params[i]->name, range, def);
    } else {
        printf("  --%s\n", p->params[i]->name);
        snprintf(text, sizeof text, "%s; default %s", range, def);
        cli_print_wrapped(text, 25);
    }
    cli_print_wrapped(p->params[i]->help, 25);
}

/* Where a common parameter has another default than elsewhere. */
static void print_presets(const policy *p) {
    char text[200] = "";
    size_t used = 0;
    for (const char *const *s = p->presets; s && *s; s += 2) {
        param_set set;
        param_init(&set, p->params);
        int i = param_find(&set, s[0]);
        if (i < 0 || !is_common(p->params[i]) || used >= sizeof text) continue;
        used += (size_t)snprintf(text + used, sizeof text - used, "%s --%s %s",
                                 used ? "," : "Defaults:", s[0], s[1]);
    }
    if (used) cli_print_wrapped(text, 2);
}

static void print_policy(const policy *p) {
    printf("%s - %s\n", p->name, p->title);
    cli_print_wrapped(p->help, 2);
    print_presets(p);
    for (int i = 0; p->params[i]; i++) {
        if (!is_common(p->params[i])) print_param(p, i);
    }
}

/* By the first policy, which has their usual defaults. */
static void print_common(void) {
    puts("\nOf every policy:");
    for (int i = 0; policies[0]->params[i]; i++) print_param(policies[0], i);
}

static void doc_policy(doc *j, const policy *p) {
    static const char *const types[] = {"int", "real", "bool", "choice"};
    doc_object(j, NULL);
    doc_string(j, "name", p->name);
    doc_string(j, "title", p->title);
    doc_string(j, "help", p->help);
    doc_array(j, "params");
    param_set defaults;
    policy_defaults(p, NULL, &defaults);
    for (int i = 0; p->params[i]; i++) {
        const param_def *d = p->params[i];
        char field[64];
        doc_field_name(d->name, field, sizeof field);
        doc_object(j, NULL);
        doc_string(j, "name", field);
        doc_string(j, "option", d->name);
        doc_string(j, "type", types[d->type]);
        if (d->type == PARAM_INT || d->type == PARAM_REAL) {
            doc_real(j, "min", d->min);
            doc_real(j, "max", d->max);
        }
        if (d->type == PARAM_CHOICE) {
            doc_array(j, "choices");
            for (const char *const *c = d->choices; *c; c++) doc_string(j, NULL, *c);
            doc_end(j);
        }
        doc_param(j, "default", &defaults, i);
        doc_string(j, "help", d->help);
        doc_end(j);
    }
    doc_end(j);
    doc_end(j);
}

static bool is_chosen(const cli_args *a, const policy *p) {
    for (int i = 0; i < a->n_operands; i++) {
        if (policy_find(a->operands[i]) == p) return true;
    }
    return a->n_operands == 0;
}

static int policies_main(int argc, char **argv) {
    cli_args a = {0};
    int rc = cli_parse(&a, &cmd_policies, CLI_JSON | CLI_OPERANDS, NULL, argc, argv);
    if (rc >= 0) return rc;
    for (int i = 0; i < a.n_operands; i++) {
        if (policy_find(a.operands[i])) continue;
        return cli_usage_error(&cmd_policies, "unknown policy '%.40s'; there are: %s", a.operands[i],
                               policy_names());
    }
    doc j;
    doc_init(&j);
    doc_array(&j, NULL);
    for (int i = 0, n = 0; policies[i]; i++) {
        if (!is_chosen(&a, policies[i])) continue;
        if (a.json) {
            doc_policy(&j, policies[i]);
        } else {
            if (n++) putchar('\n');
            print_policy(policies[i]);
        }
    }
    doc_end(&j);
    err e = {0};
    if (a.json) return doc_print(&j, &e) ? cli_report(&e) : EXIT_OK;
    doc_release(&j);
    print_common();
    return EXIT_OK;
}
