/* args.h - the options that several commands share, parsed once.
 *
 * A command names the groups it takes and its own extra options, and gets everything back in one
 * struct. Any --NAME of any policy parameter is an option of a command that takes CLI_POLICY; the
 * values go to the chosen policies that have it, and a name that none of them has is an error.
 *
 *     bool raw = false;
 *     const cli_extra extra[] = {{"raw", 0, NULL, &raw}, {0}};
 *     cli_args a = {.default_policies = "boe"};
 *     int rc = cli_parse(&a, &cmd_run, CLI_MODEL | CLI_PROMPT | CLI_POLICY, extra, argc, argv);
 *     if (rc >= 0) return rc;                             (--help was printed, or a usage error)
 *     if (cli_open_model(&a, &m, &e)) return cli_report_input(&e);
 *     ... a.policies[0].params are final: defaults, the model's tuning, then what was given ...
 *
 * Texts are borrowed from argv.
 */
#ifndef TABES_ARGS_H
#define TABES_ARGS_H

#include "cli/cli.h"

enum { CLI_MAX_POLICIES = 64, CLI_MAX_SETTINGS = 64, CLI_MAX_OPERANDS = 64, CLI_DEFAULT_LENGTH = 64 };

/* Groups of options. */
enum {
    CLI_MODEL =
        1, /* -m/--model, --threads, --device, --precision, --tokenizer, --mask-id, --shift, --no-shift */
    CLI_PROMPT = 2, /* -p/--prompt, --prompt-file, --prompt-tokens, --length, --template, --system, --raw */
    CLI_POLICY = 4, /* --policy and every policy parameter, as --NAME VALUE; switches also as --no-NAME */
    CLI_SEED = 8,   /* --seed */
    CLI_JSON = 16,  /* --json */
    CLI_QUIET = 32, /* -q/--quiet */
    CLI_OPERANDS = 64, /* arguments that are not options */
    CLI_POLICIES = 128 /* --policies, as --policy, where several are welcome */
};

/* One option of a command's own. With `text` it takes a value, with `flag` none. A table ends with a NULL
 * name. An option that may be given several times has CLI_SEVERAL for a letter, and `text` is an array of
 * CLI_MAX_SEVERAL, all NULL, that is filled in their order. */
enum { CLI_SEVERAL = -1, CLI_MAX_SEVERAL = 16 };
typedef struct cli_extra {
    const char *name; /* without the dashes */
    int letter;       /* short option, or 0 */
    const char **text;
    bool *flag;
} cli_extra;

/* A policy parameter as it was given. */
typedef struct cli_setting {
    const char *name, *value;
} cli_setting;

struct cli_args {
    /* Set before cli_parse. */
    const char *default_policies; /* used when --policy is absent: "boe" or "confidence,boe" */
    int max_policies; /* how many --policy may name; 0 means 1; CLI_MAX_POLICIES also allows `all` */

    /* Results. */
    const char *model;         /* NULL when absent: the bundled sudoku model */
    const char *prompt;        /* the three ways to give a prompt; at most one is set */
    const char *prompt_file;   /* "-" is standard input */
    const char *prompt_tokens; /* JSON */
    int length;                /* -1 when absent; see cli_length */
    int threads;               /* 0: all cores */
    const char *device;        /* "auto", "cpu", "cuda" or "cuda:N"; NULL when absent: auto */
    k_precision precision;
    const char *tokenizer; /* NULL when absent: the checkpoint's */
    bool mask_given;
    int32_t mask_id;
    int shift; /* as denoiser_opts.shift */
    const char *chat, *briefing;
    bool raw;
    uint64_t seed;
    bool seed_given, json, quiet;
    cli_policy policies[CLI_MAX_POLICIES];
    int n_policies;
    bool all_policies; /* `all` was given */
    cli_setting settings[CLI_MAX_SETTINGS];
    int n_settings;
    char *operands[CLI_MAX_OPERANDS];
    int n_operands;
};

/* Parses argv[1..] in GNU style (options anywhere, `--` ends them, unambiguous abbreviations). Returns -1 to
 * go on, or the exit code when the command is over: 0 after --help, 2 after a one-line message. Values of
 * policy parameters are range-checked here, before any file is opened. */
int cli_parse(cli_args *a, const command *c, unsigned groups, const cli_extra *extra, int argc, char **argv);

/* Opens a->model (a path, a bundled name such as "story", or the bundled sudoku model when absent) on its
 * device, sets the number of threads and makes the policies' parameters final with the model's tuning. Says
 * on standard error how far the weights are and why a GPU was not taken, unless a->quiet. */
int cli_open_model(cli_args *a, model *m, err *e) MUST_CHECK;

/* Parameters of every chosen policy: defaults, the tuning of a model (NULL: before there is one), what was
 * given.
 */
int cli_fill_policies(cli_args *a, const model_tuning *tuning, err *e) MUST_CHECK;

/* Token ids of the prompt in whichever way it was given; *ids is malloc'd. One trailing newline of a prompt
 * file is dropped. ERR_NOT_FOUND with a hint when none was given. */
bool cli_has_prompt(const cli_args *a);
int cli_read_prompt(const cli_args *a, const model *m, int32_t **ids, int *n, err *e) MUST_CHECK;

/* Masks to append: --length, or without it 0 when the prompt has masks and CLI_DEFAULT_LENGTH (or what the
 * context still holds) when it has none. */
int cli_length(const cli_args *a, const model *m, const int32_t *ids, int n);

/* A text file ("-" for standard input) with one trailing newline dropped; the buffer is initialised here. */
int cli_read_text(const char *path, strbuf *b, err *e) MUST_CHECK;

/* JSON array of token ids with range checks; `what` names the option in messages. */
int cli_parse_ids(const char *json, const char *what, int n_vocab, int32_t **ids, int *n, err *e) MUST_CHECK;

/* Whole numbers and reals as option values; `what` is the option ("--length"). */
int cli_parse_int(const char *text, const char *what, int64_t low, int64_t high, int64_t *out,
                  err *e) MUST_CHECK;
int cli_parse_real(const char *text, const char *what, double low, double high, double *out,
                   err *e) MUST_CHECK;

/* The name nearest to a mistyped word, or NULL when none is near. */
const char *cli_suggest(const char *word, const char *const *names, int n);

/* Path of a file or folder that comes with the program. kind: "models", "prompts", "trajectories". Looked up
 * beside the executable, in the source tree and in the installed data. ERR_NOT_FOUND (silently) when there is
 * none. */
int cli_bundled_path(const char *kind, const char *name, char *buf, size_t size);

/* Texts for `usage`, so that the options read the same everywhere. */
#define HELP_DEVICE                                                                                          \
    "      --device NAME       cpu, cuda, cuda:N or auto (default): a GPU when there is one, the model is "  \
    "large\n"                                                                                                \
    "                          and it fits\n"                                                                \
    "      --precision NAME    of products: f32, bf16 or auto (default): bf16 unless the weights are F32, "  \
    "on\n"                                                                                                   \
    "                          the CPU only for large ones and where it has the instructions\n"
#define HELP_MODEL                                                                                           \
    "  -m, --model MODEL       checkpoint directory or GGUF file, or a bundled name: sudoku (default),\n"    \
    "                          story, countdown\n"                                                           \
    "      --tokenizer DIR     take the tokenizer from this directory or GGUF file\n"                        \
    "      --mask-id N         the mask token, where the checkpoint does not name it\n"                      \
    "      --shift             row i predicts position i+1, where the checkpoint does not say\n"             \
    "      --no-shift          row i predicts position i, likewise\n"                                        \
    "      --threads N         threads of the kernels (default: all cores)\n" HELP_DEVICE
#define HELP_PROMPT                                                                                          \
    "  -p, --prompt TEXT       prompt; <mask> marks a position to generate, <mask:12> twelve\n"              \
    "      --prompt-file FILE  prompt from a file, '-' for standard input; one newline at its end is "       \
    "dropped\n"                                                                                              \
    "      --prompt-tokens IDS prompt as a JSON array of token ids; mask ids are positions to generate\n"    \
    "      --length N          masks to append (default: 0 when the prompt has masks, else 64)\n"            \
    "      --template NAME     chat template: llada, dream, qwen2.5, qwen3, chatml (default: the "           \
    "checkpoint's,\n"                                                                                        \
    "                          except for a prompt with masks)\n"                                            \
    "      --system TEXT       system message of the chat template\n"                                        \
    "      --raw               the prompt as it is, without a template\n"
#define HELP_POLICY "      --policy NAME       see `tabes policies`\n"
#define HELP_SEED   "      --seed N            seed of all random draws (default 0)\n"
#define HELP_JSON   "      --json              print JSON, not text\n"
#define HELP_QUIET  "  -q, --quiet             no progress and no notes\n"

#endif
