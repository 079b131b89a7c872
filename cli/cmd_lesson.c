/* cmd_lesson.c - guided lessons in the workbench: listed, checked and played. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/doc.h"
#include "cli/lesson_list.h"
#include "cli/lesson_paths.h"
#include "cli/screen_args.h"

static int lesson_main(int argc, char **argv);

const command cmd_lesson = {
    .name = "lesson",
    .summary = "guided lessons: what masks, entropy, TIS and policies are",
    .usage =
        "usage: tabes lesson [NAME|FILE] [OPTIONS]\n"
        "       tabes lesson --check [NAME|FILE...]\n"
        "\n"
        "Plays a lesson in the workbench: a panel of text and questions, beside which every key works.\n"
        "Without a name: the lessons there are, one a line. docs/lessons.md tells how to write one.\n"
        "\n"
        "      --list              the lessons there are, one a line\n"
        "      --check             play the lessons named (or all) unseen and report the first fault of "
        "each:\n"
        "                          of the format, a command that fails, a highlight or an answer that is not "
        "there,\n"
        "                          text that is too long for 80x24\n" HELP_JSON
        "      --threads N         threads of the model's kernels (default: all cores)\n" HELP_DEVICE
            HELP_SCREEN,
    .run = lesson_main,
};

/* What a lesson opens. */
typedef struct opened {
    model m;
    bool has_model;
    replay *files[LESSON_MAX_PANES];
    int32_t *prompt;
    tui_opts o;
} opened;

/* Opening ------------------------------------------------------------------------ */

static int add_policy(opened *w, const lesson *l, const char *name, err *e) {
    tui_pane *p = &w->o.panes[w->o.n_panes++];
    int rc = 0;
    *p = (tui_pane){.policy = policy_find(name), .seed = l->seed};
    policy_defaults(p->policy, &w->m.tuning, &p->params);
    for (int i = 0; !rc && i < l->n_settings; i++) {
        const lesson_setting *s = &l->settings[i];
        if (param_find(&p->params, s->name) >= 0) rc = param_parse(&p->params, s->name, s->value, e);
    }
    return rc;
}

/* A parameter that no policy has is a slip of the teacher's. */
static int check_settings(const opened *w, const lesson *l, err *e) {
    for (int i = 0; i < l->n_settings; i++) {
        bool any = false;
        for (int k = 0; k < w->o.n_panes; k++)
            any |= param_find(&w->o.panes[k].params, l->settings[i].name) >= 0;
        if (!any)
            return err_set(e, ERR_BAD_ARGUMENT, "set: no policy of the lesson has a parameter '%.40s'",
                           l->settings[i].name);
    }
    return 0;
}

static int open_live(opened *w, const lesson *l, err *e) {
    cli_args a = {.prompt = l->prompt, .prompt_file = l->prompt_file};
    int n = 0, rc = 0;
    if (cli_has_prompt(&a)) rc = cli_read_prompt(&a, &w->m, &w->prompt, &n, e);
    w->o.model = &w->m;
    w->o.prompt = w->prompt;
    w->o.n_prompt = n;
    w->o.length = l->length;
    for (int i = 0; !rc && i < l->n_policies; i++) rc = add_policy(w, l, l->policies[i], e);
    return rc ? rc : check_settings(w, l, e);
}

static int open_replays(opened *w, const lesson *l, err *e) {
    int rc = 0;
    for (int i = 0; !rc && i < l->n_replays; i++) {
        rc = replay_load(&w->files[i], l->replays[i], e);
        if (!rc && w->has_model) rc = screen_check_model(l->replays[i], &w->files[i]->traj.head, &w->m, e);
    }
    w->o.replays = w->files;
    w->o.n_replays = l->n_replays;
    w->o.looker = w->has_model ? &w->m : NULL;
    return rc;
}

/* A name is that of a bundled model, whatever lies in the working folder. */
static int open_model(opened *w, const cli_args *args, const lesson *l, err *e) {
    cli_args a = *args;
    char path[4096];
    a.model = l->model;
    a.quiet = true;
    if (!strchr(l->model, '/')) {
        if (cli_bundled_path("models", l->model, path, sizeof path))
            return err_set(e, ERR_NOT_FOUND, "model: '%.60s' does not come with the program", l->model);
        a.model = path;
    }
    int rc = cli_open_model(&a, &w->m, e);
    w->has_model = !rc;
    return rc;
}

static int open_all(opened *w, const cli_args *args, const lesson *l, err *e) {
    int rc = lesson_check_paths(l, e);
    if (!rc && l->model) rc = open_model(w, args, l, e);
    if (!rc) rc = l->n_replays ? open_replays(w, l, e) : open_live(w, l, e);
    w->o.lesson = l;
    return rc ? err_prefix(e, "%.200s", l->path) : 0;
}

static void close_all(opened *w) {
    for (int i = 0; i < LESSON_MAX_PANES; i++) replay_close(w->files[i]);
    free(w->prompt);
    if (w->has_model) model_close(&w->m);
}

/* Playing and checking ------------------------------------------------------------- */

/* As in cmd_open.c. */
static void leave(int code) {
    fflush(NULL);
    _exit(code);
}

static int play(const cli_args *a, const screen_args *s) {
    lesson *l;
    opened w = {0};
    err e = {0};
    bool still_computing = false;
    if (lesson_open(&l, a->operands[0], &e)) return cli_report_input(&e);
    int rc =
        open_all(&w, a, l, &e) ? cli_report_input(&e) : screen_show(&cmd_lesson, s, &w.o, &still_computing);
    if (still_computing) leave(rc);
    close_all(&w);
    lesson_free(l);
    return rc;
}

static int check_lesson(const cli_args *a, const lesson *l) {
    opened w = {0};
    err e = {0};
    bool still_computing = false;
    int rc = open_all(&w, a, l, &e);
    if (!rc) rc = tui_check_lesson(&w.o, &still_computing, &e);
    if (rc) rc = cli_report_input(&e);
    if (still_computing) leave(rc);
    close_all(&w);
    if (rc) return rc;
    cli_print("%s: %d steps, ok\n", l->name, l->n_steps);
    return EXIT_OK;
}

static int check_named(const cli_args *a) {
    int code = EXIT_OK;
    for (int i = 0; i < a->n_operands; i++) {
        lesson *l;
        err e = {0};
        int one = lesson_open(&l, a->operands[i], &e) ? cli_report_input(&e) : check_lesson(a, l);
        if (one) code = one;
        lesson_free(l);
    }
    return code;
}

static int check(const cli_args *a) {
    lesson_list l;
    err e = {0};
    int code = EXIT_OK;
    if (a->n_operands) return check_named(a);
    if (lesson_list_open(&l, &e)) return cli_report_input(&e);
    for (int i = 0; i < l.n; i++) {
        int one = check_lesson(a, l.at[i]);
        if (one) code = one;
    }
    lesson_list_release(&l);
    return code;
}

/* Listing ---------------------------------------------------------------------------- */

static int list_json(const lesson_list *l, err *e) {
    doc j;
    doc_init(&j);
    doc_array(&j, NULL);
    for (int i = 0; i < l->n; i++) {
        doc_object(&j, NULL);
        doc_string(&j, "name", l->at[i]->name);
        doc_string(&j, "title", l->at[i]->title);
        doc_string(&j, "about", l->at[i]->about);
        doc_int(&j, "steps", l->at[i]->n_steps);
        doc_string(&j, "path", l->at[i]->path);
        doc_end(&j);
    }
    doc_end(&j);
    return doc_print(&j, e);
}

static void list_text(const lesson_list *l, bool person) {
    for (int i = 0; i < l->n; i++) {
        const lesson *x = l->at[i];
        cli_print(person ? "  %-12s %-28s %s\n" : "%s\t%s\t%s\n", x->name, x->title, x->about);
    }
}

static int list(const cli_args *a, bool asked) {
    lesson_list l;
    err e = {0};
    bool person = isatty(STDOUT_FILENO);
    if (lesson_list_open(&l, &e)) return cli_report_input(&e);
    int rc = 0;
    if (a->json) {
        rc = list_json(&l, &e);
    } else {
        list_text(&l, person);
        if (person && !asked && l.n) cli_print("\ntabes lesson %s begins with the first.\n", l.at[0]->name);
    }
    lesson_list_release(&l);
    return rc ? cli_report(&e) : EXIT_OK;
}

static int lesson_main(int argc, char **argv) {
    screen_args s = {0};
    bool asked = false, checking = false;
    const cli_extra extra[] = {
        {"list", 0, NULL, &asked}, {"check", 0, NULL, &checking}, SCREEN_EXTRA(s), {0}};
    cli_args a = {0};
    int rc = cli_parse(&a, &cmd_lesson, CLI_MODEL | CLI_OPERANDS | CLI_JSON, extra, argc, argv);
    if (rc >= 0) return rc;
    if (a.model) return cli_usage_error(&cmd_lesson, "--model: a lesson brings its own");
    if (checking) return cli_finish(check(&a));
    if (asked || !a.n_operands) {
        if (a.n_operands) return cli_usage_error(&cmd_lesson, "--list takes no name");
        return cli_finish(list(&a, asked));
    }
    if (a.n_operands > 1) return cli_usage_error(&cmd_lesson, "one lesson at a time, found %d", a.n_operands);
    if (a.json) return cli_usage_error(&cmd_lesson, "--json is of the list");
    return play(&a, &s);
}
