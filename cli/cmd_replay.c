/* cmd_replay.c - the workbench on recordings; no model is needed. */
#include "cli/screen_args.h"

static int replay_main(int argc, char **argv);

const command cmd_replay = {
    .name = "replay",
    .summary = "up to four recordings in the workbench, without a model",
    .usage = "usage: tabes replay FILE... [OPTIONS]\n"
             "\n"
             "One to four recordings show side by side.\n"
             "A file of branches (W in the workbench) shows its panes; K lists the branches.\n"
             "A file that was cut short opens with the steps that are whole; a note says so.\n"
             "\n" HELP_SCREEN,
    .run = replay_main,
};

static int load(cli_args *a, replay **files, err *e) {
    for (int i = 0; i < a->n_operands; i++) {
        int rc = replay_load(&files[i], a->operands[i], e);
        if (rc) return rc;
        if (files[i]->truncated) fprintf(stderr, "tabes: %s: %s\n", a->operands[i], files[i]->note);
    }
    return 0;
}

/* One file with branches shows all its panes. */
static int show_tree(const cli_args *a, const screen_args *s) {
    tree_file *f;
    err e = {0};
    bool still_computing;
    if (a->n_operands != 1)
        return cli_usage_error(&cmd_replay, "a file with branches is shown alone, found %d files",
                               a->n_operands);
    if (tree_load(&f, a->operands[0], &e)) return cli_report_input(&e);
    tui_opts o = {.trees = f};
    int rc = screen_show(&cmd_replay, s, &o, &still_computing);
    tree_file_close(f);
    return rc;
}

static int replay_main(int argc, char **argv) {
    screen_args s = {0};
    const cli_extra extra[] = {SCREEN_EXTRA(s), {0}};
    cli_args a = {0};
    int rc = cli_parse(&a, &cmd_replay, CLI_OPERANDS, extra, argc, argv);
    if (rc >= 0) return rc;
    if (a.n_operands < 1 || a.n_operands > TUI_MAX_PANES) {
        return cli_usage_error(&cmd_replay, "expected one to %d recordings, found %d", TUI_MAX_PANES,
                               a.n_operands);
    }
    for (int i = 0; i < a.n_operands; i++) {
        if (tree_is_file(a.operands[i])) return show_tree(&a, &s);
    }
    replay *files[TUI_MAX_PANES] = {0};
    err e = {0};
    if (load(&a, files, &e)) {
        rc = cli_report_input(&e);
    } else {
        bool still_computing;
        tui_opts o = {.replays = files, .n_replays = a.n_operands};
        rc = screen_show(&cmd_replay, &s, &o, &still_computing);
    }
    for (int i = 0; i < TUI_MAX_PANES; i++) replay_close(files[i]);
    return rc;
}
