/* cmd_open.c - the workbench on a model: one to four policies side by side from the same start. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/screen_args.h"

static int open_main(int argc, char **argv);

const command cmd_open = {
    .name = "open",
    .summary = "the workbench: policies side by side, step by step",
    .usage =
        "usage: tabes [open] [-m MODEL] [-p TEXT | --prompt-file FILE | --prompt-tokens IDS] [OPTIONS]\n"
        "\n"
        "Without a prompt the bundled models show a bundled one. One to four policies show side by side "
        "(default:\n"
        "confidence and boe; --policies A,B,C names them); a parameter goes to each that has it. Press ? "
        "inside for the keys.\n"
        "\n" HELP_MODEL HELP_PROMPT HELP_POLICY
        "      --policies A,B,...  one to four policies, each in a pane of its own\n" HELP_SEED
        "      --tree FILE         go on from the branches that W wrote, in place of a prompt\n"
        "      --record PREFIX     `R` writes PREFIX-<policy>.jsonl (default: "
        "tabes-<date>-<time>)\n" HELP_SCREEN,
    .policy_flags = true,
    .run = open_main,
};

/* Prompts that come with the bundled models; `length` masks are appended. */
typedef struct bundled_prompt {
    const char *model, *file;
    int length;
} bundled_prompt;

static const bundled_prompt bundled_prompts[] = {
    {"sudoku", "sudoku.txt", 0}, {"story", "story.txt", 40}, {"countdown", "countdown.txt", 14}};

/* Fills in prompt and length when none is given. `path` must outlive the arguments. */
static int choose_prompt(cli_args *a, const model *m, char *path, size_t size, err *e) {
    if (cli_has_prompt(a)) return 0;
    const char *name = denoiser_get_info(m->d)->name;
    for (size_t i = 0; i < sizeof bundled_prompts / sizeof bundled_prompts[0]; i++) {
        const bundled_prompt *b = &bundled_prompts[i];
        if (strcmp(name, b->model) || cli_bundled_path("prompts", b->file, path, size)) continue;
        a->prompt_file = path;
        if (a->length < 0) a->length = b->length;
        return 0;
    }
    return err_set(e, ERR_BAD_ARGUMENT,
                   "model %s needs a prompt: give -p TEXT, --prompt-file FILE or --prompt-tokens IDS", name);
}

/* The start of the first pane's first branch stands in for a prompt; each pane then goes on from its own. */
static int tree_prompt(const tree_file *f, int32_t **ids, int *n, int *length, err *e) {
    const traj_header *h = &tree_file_tree(f, 0)->nodes[0].traj.head;
    *ids = malloc((size_t)h->n_tokens * sizeof **ids);
    if (!*ids) return err_set(e, ERR_NO_MEMORY, "out of memory");
    memcpy(*ids, h->start, (size_t)h->n_tokens * sizeof **ids);
    *n = h->n_tokens;
    *length = 0;
    return 0;
}

static int show(cli_args *a, const model *m, const screen_args *s, const char *record, const tree_file *trees,
                bool *still_computing) {
    static char path[4096]; /* the arguments point to it from here on */
    int32_t *prompt = NULL;
    int n = 0, length = -1, rc;
    err e = {0};
    if (trees) {
        rc = tree_prompt(trees, &prompt, &n, &length, &e);
    } else {
        rc = choose_prompt(a, m, path, sizeof path, &e);
        if (!rc) rc = cli_read_prompt(a, m, &prompt, &n, &e);
    }
    if (rc) return cli_report_input(&e);
    tui_opts o = {.model = m, .prompt = prompt, .n_prompt = n, .record_prefix = record, .trees = trees};
    o.n_panes = trees ? tree_file_panes(trees) : a->n_policies;
    o.length = trees ? length : cli_length(a, m, prompt, n);
    /* A tree of two panes with one policy named: the second starts from its branches anyway. */
    for (int i = a->n_policies; i < o.n_panes; i++) a->policies[i] = a->policies[0];
    for (int i = 0; i < o.n_panes; i++) {
        o.panes[i] = (tui_pane){a->policies[i].policy, a->policies[i].params, a->seed};
    }
    int code = screen_show(&cmd_open, s, &o, still_computing);
    free(prompt);
    return code;
}

static int open_main(int argc, char **argv) {
    screen_args s = {0};
    const char *record = NULL, *tree_path = NULL;
    tree_file *trees = NULL;
    const cli_extra extra[] = {
        {"tree", 0, &tree_path, NULL}, {"record", 0, &record, NULL}, SCREEN_EXTRA(s), {0}};
    cli_args a = {.default_policies = "confidence,boe", .max_policies = TUI_MAX_PANES};
    int rc = cli_parse(&a, &cmd_open, CLI_MODEL | CLI_PROMPT | CLI_POLICY | CLI_POLICIES | CLI_SEED, extra,
                       argc, argv);
    if (rc >= 0) return rc;
    model m;
    err e = {0};
    if (tree_path && cli_has_prompt(&a))
        return cli_usage_error(&cmd_open, "--tree brings its own prompt; leave out the other one");
    if (tree_path && tree_load(&trees, tree_path, &e)) return cli_report_input(&e);
    if (cli_open_model(&a, &m, &e)) {
        tree_file_close(trees);
        return cli_report_input(&e);
    }
    bool still_computing = false;
    rc = show(&a, &m, &s, record, trees, &still_computing);
    tree_file_close(trees);
    if (still_computing) {
        /* A step is still inside the model on the worker's thread: end without running what exit() would tear
         * down. */
        fflush(NULL);
        _exit(rc);
    }
    model_close(&m);
    return rc;
}
