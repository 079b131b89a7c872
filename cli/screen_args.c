/* screen_args.c - options of the workbench, and the step from options to screen. */
#include "cli/screen_args.h"

#include <string.h>
#include <unistd.h>

#include "cli/theme_dirs.h"

int screen_color(const command *c, const char *text, tui_color *out) {
    static const char *const names[] = {"auto", "always", "never"};
    for (int i = 0; i < 3; i++) {
        if (text && strcmp(text, names[i])) continue;
        *out = text ? (tui_color)i : COLOR_AUTO;
        return 0;
    }
    return cli_usage_error(c, "--color: '%.40s', expected auto, always or never", text);
}

enum { MAX_SIDE = 1000, DUMP_MAX_BYTES = 32 << 20 };

static int parse_size(const char *text, int *cols, int *rows, err *e) {
    char *end = NULL;
    long w = strtol(text, &end, 10), h = end > text && *end == 'x' ? strtol(end + 1, &end, 10) : 0;
    if (*end || w < 1 || h < 1 || w > MAX_SIDE || h > MAX_SIDE) {
        return err_set(e, ERR_BAD_ARGUMENT,
                       "--dump-screen: '%.40s', expected columns and rows, such as 120x40", text);
    }
    *cols = (int)w;
    *rows = (int)h;
    return 0;
}

/* --at and --keys become key presses: "12G" and what follows. */
static int first_keys(const screen_args *s, char *out, size_t size, err *e) {
    int64_t n = 0;
    const char *keys = s->keys ? s->keys : "";
    if (s->at && strcmp(s->at, "end")) {
        int rc = cli_parse_int(s->at, "--at", 0, 99999, &n, e);
        if (rc) return rc;
    }
    int len = !s->at                  ? snprintf(out, size, "%s", keys)
              : !strcmp(s->at, "end") ? snprintf(out, size, "c%s", keys)
              : n                     ? snprintf(out, size, "%dG%s", (int)n, keys)
                                      : snprintf(out, size, "gg%s", keys);
    return len < 0 || (size_t)len >= size ? err_set(e, ERR_BAD_ARGUMENT, "--keys: too many") : 0;
}

static int dump(const screen_args *s, const tui_opts *o, bool *still_computing, err *e) {
    strbuf out;
    int cols = 0, rows = 0, rc = parse_size(s->dump, &cols, &rows, e);
    if (rc) return rc;
    strbuf_init(&out, DUMP_MAX_BYTES);
    rc = tui_dump(o, cols, rows, &out, still_computing, e);
    if (!rc && out.failed) rc = strbuf_fault(&out, "--dump-screen", e);
    if (!rc) fwrite(out.data, 1, out.len, stdout);
    strbuf_release(&out);
    return rc;
}

/* Commands without a terminal: what they write is the result. */
static int run_unseen(const tui_opts *o, bool *still_computing, err *e) {
    strbuf out;
    strbuf_init(&out, DUMP_MAX_BYTES);
    int rc = tui_dump(o, 120, 40, &out, still_computing, e);
    strbuf_release(&out);
    return rc;
}

int screen_check_model(const char *path, const traj_header *h, const model *m, err *e) {
    const denoiser_info *now = denoiser_get_info(m->d);
    if (!strcmp(h->fingerprint, now->fingerprint)) return 0;
    return err_set(
        e, ERR_BAD_ARGUMENT,
        "%s: recorded with another model: \"%s\", fingerprint %s; --model is \"%s\", %s; leave out -m "
        "or name the recording's model",
        path, h->model_name, h->fingerprint, now->name, now->fingerprint);
}

/* A person's own file is read where a person looks, so that dumps and scripts do the same everywhere. */
static void choose_config(const screen_args *s, bool unattended, char *path, size_t size, tui_opts *o) {
    if (s->config) {
        o->config = s->config;
    } else if (!unattended && !s->no_config && !tui_config_file(path, size) && !access(path, F_OK)) {
        o->config = path;
    }
}

int screen_show(const command *c, const screen_args *s, tui_opts *o, bool *still_computing) {
    char keys[1024], config[4096];
    err e = {0};
    *still_computing = false;
    int rc = screen_color(c, s->color, &o->color);
    if (rc) return rc;
    o->theme = s->theme;
    o->theme_dirs = theme_dirs();
    o->ascii = s->ascii;
    o->no_mouse = s->no_mouse;
    o->keys = keys;
    o->exec = s->exec;
    o->script = s->script;
    bool unattended = (s->exec || s->script) && !s->dump && (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO));
    choose_config(s, s->dump || unattended, config, sizeof config, o);
    rc = first_keys(s, keys, sizeof keys, &e);
    if (!rc) {
        rc = s->dump      ? dump(s, o, still_computing, &e)
             : unattended ? run_unseen(o, still_computing, &e)
                          : tui_run(o, still_computing, &e);
    }
    if (rc) return o->exec || o->script ? cli_report_input(&e) : cli_report(&e);
    return EXIT_OK;
}
