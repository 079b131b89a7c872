/* cmd_replay.c - the workbench on recordings; a model is needed only for closer looks. */
#include <string.h>
#include <unistd.h>

#include "cli/screen_args.h"

static int replay_main(int argc, char **argv);

const command cmd_replay = {
    .name = "replay",
    .summary = "up to four recordings in the workbench, without a model",
    .usage =
        "usage: tabes replay FILE... [OPTIONS]\n"
        "\n"
        "One to four recordings show side by side.\n"
        "A file of branches (W in the workbench) shows its panes; K lists the branches.\n"
        "A file that was cut short opens with the steps that are whole; a note says so.\n"
        "\n"
        "  -m, --model MODEL       the recordings' model, a checkpoint directory or a bundled name, for "
        "closer\n"
        "                          looks (influence, truth checks, attention ...); nothing else needs it\n"
        "      --threads N         threads of its kernels (default: all cores)\n" HELP_DEVICE HELP_SCREEN,
    .run = replay_main,
};

/* What is shown: recordings, or the branches of one file. */
typedef struct shown {
    replay *files[TUI_MAX_PANES];
    int n;
    tree_file *trees;
} shown;

static int load_recordings(const cli_args *a, shown *s, err *e) {
    for (; s->n < a->n_operands; s->n++) {
        const char *path = a->operands[s->n];
        int rc = replay_load(&s->files[s->n], path, e);
        if (rc) return rc;
        if (s->files[s->n]->truncated) cli_note("%s: %s", path, s->files[s->n]->note);
    }
    return 0;
}

/* One file with branches shows all its panes. */
static int load(const cli_args *a, shown *s, err *e) {
    for (int i = 0; i < a->n_operands; i++) {
        if (!tree_is_file(a->operands[i])) continue;
        if (a->n_operands == 1) return tree_load(&s->trees, a->operands[0], e);
        return err_set(e, ERR_BAD_ARGUMENT, "%s: a file with branches is shown alone, found %d files",
                       a->operands[i], a->n_operands);
    }
    return load_recordings(a, s, e);
}

static void release(shown *s) {
    for (int i = 0; i < TUI_MAX_PANES; i++) replay_close(s->files[i]);
    tree_file_close(s->trees);
}

static int check_model(const cli_args *a, const shown *s, const model *m, err *e) {
    int rc = 0;
    for (int i = 0; !rc && i < s->n; i++)
        rc = screen_check_model(a->operands[i], &s->files[i]->traj.head, m, e);
    for (int i = 0; !rc && s->trees && i < tree_file_panes(s->trees); i++)
        rc = screen_check_model(a->operands[0], &tree_file_tree(s->trees, i)->nodes[0].traj.head, m, e);
    return rc;
}

static int show(cli_args *a, const screen_args *screen, const shown *s) {
    model m;
    err e = {0};
    bool still_computing = false;
    tui_opts o = {.replays = s->files, .n_replays = s->n, .trees = s->trees};
    if (!a->model) return screen_show(&cmd_replay, screen, &o, &still_computing);
    if (cli_open_model(a, &m, &e)) return cli_report_input(&e);
    int rc = check_model(a, s, &m, &e) ? cli_report_input(&e) : -1;
    o.looker = &m;
    if (rc < 0) rc = screen_show(&cmd_replay, screen, &o, &still_computing);
    if (still_computing) { /* as in cmd_open.c */
        fflush(NULL);
        _exit(rc);
    }
    model_close(&m);
    return rc;
}

static int replay_main(int argc, char **argv) {
    screen_args screen = {0};
    const cli_extra extra[] = {SCREEN_EXTRA(screen), {0}};
    cli_args a = {0};
    shown s = {0};
    err e = {0};
    int rc = cli_parse(&a, &cmd_replay, CLI_MODEL | CLI_OPERANDS, extra, argc, argv);
    if (rc >= 0) return rc;
    if (a.n_operands < 1 || a.n_operands > TUI_MAX_PANES) {
        return cli_usage_error(&cmd_replay, "expected one to %d recordings, found %d", TUI_MAX_PANES,
                               a.n_operands);
    }
    if (!a.model && (a.threads || a.device))
        return cli_usage_error(&cmd_replay, "--threads and --device are the model's: name it with -m");
    rc = load(&a, &s, &e) ? cli_report_input(&e) : show(&a, &screen, &s);
    release(&s);
    return rc;
}
