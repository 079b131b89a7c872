/* command_file.c - commands that read and write files. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/base/outfile.h"
#include "tui/command.h"
#include "tui/files.h"

enum { EXPORT_MAX_BYTES = 512 << 20 };

int command_record(app *a, const char *rest, unsigned *flags, err *e) {
    static words w;
    int rc = words_split(&w, rest, e);
    if (rc) return rc;
    if (w.n > 1) return err_set(e, ERR_BAD_ARGUMENT, "found %d words, expected: record [PREFIX]", w.n);
    const char *before = a->record_prefix;
    char *own = w.n ? mem_copy(w.at[0], strlen(w.at[0]) + 1, 1) : NULL;
    if (w.n && !own) return err_set(e, ERR_NO_MEMORY, "out of memory for a prefix");
    if (own) a->record_prefix = own;
    *flags |= app_record(a, 0);
    a->record_prefix = before;
    free(own);
    return a->warning ? err_set(e, ERR_IO, "%s", a->message) : 0;
}

int app_save(const app *a, const trajectory *t, const char *path, err *e) {
    noted v;
    int rc = notes_join(&a->notes, t, &v, e);
    if (rc) return rc;
    rc = replay_save(&v.traj, path, e);
    noted_release(&v);
    return rc;
}

int command_write(app *a, const char *rest, unsigned *flags, err *e) {
    static words w;
    pane *p = &a->panes[a->focus];
    int rc = words_expect(&w, rest, 1, "write FILE", e);
    if (!rc) rc = app_save(a, p->traj, w.at[0], e);
    if (rc) return rc;
    pane_written(p);
    app_say(a, "wrote %s", w.at[0]);
    *flags |= APP_REDRAW;
    return 0;
}

/* Of two panes both; of more the focused one beside A, or beside B when A is focused. */
static void choose_two(const app *a, int out[2]) {
    int other = a->focus ? a->focus : 1;
    out[0] = 0;
    out[1] = other;
}

/* The state shown, where the format shows one; two panes, where it takes two. */
int command_export(app *a, const char *rest, unsigned *flags, err *e) {
    static words w;
    int rc = words_expect(&w, rest, 2, "export FORMAT FILE", e);
    if (rc) return rc;
    const export_format *f = export_find(w.at[0]);
    if (!f) return err_set(e, ERR_NOT_FOUND, "no format '%.40s'; Tab lists them", w.at[0]);
    int n = a->n_panes > 1 && f->max_runs > 1 ? 2 : 1, which[2] = {a->focus, 0};
    noted v[2] = {0};
    const trajectory *runs[2] = {0};
    strbuf out;
    strbuf_init(&out, EXPORT_MAX_BYTES);
    if (n > 1) choose_two(a, which);
    for (int i = 0; !rc && i < n; i++) {
        rc = notes_join(&a->notes, a->panes[which[i]].traj, &v[i], e);
        runs[i] = &v[i].traj;
    }
    export_opts o = {.at = a->panes[a->focus].state};
    if (!rc) rc = export_write(f, runs, n, o, &out, e);
    if (!rc) rc = outfile_write(w.at[1], &out, e);
    for (int i = 0; i < n; i++) noted_release(&v[i]);
    strbuf_release(&out);
    if (rc) return rc;
    if (n > 1 && a->n_panes > 2) {
        app_say(a, "wrote panes A and %c to %s", 'A' + which[1], w.at[1]);
    } else {
        app_say(a, "wrote %s", w.at[1]);
    }
    *flags |= APP_REDRAW;
    return 0;
}

int command_open(app *a, const char *rest, unsigned *flags, err *e) {
    static words w;
    char panes[TUI_MAX_PANES + 1];
    int rc = words_split(&w, rest, e);
    if (rc) return rc;
    *flags |= APP_REDRAW;
    /* Beside a live decode nothing is lost. */
    if (!a->model && w.n && !a->forced && !a->script.depth && app_unsaved(a, panes))
        return err_set(e, ERR_BAD_ARGUMENT,
                       "no file holds the notes in pane %s: :write keeps them, open! opens anyway", panes);
    return open_files(a, w.at, w.n, e);
}

int command_source(app *a, const char *rest, unsigned *flags, err *e) {
    static words w;
    int rc = words_expect(&w, rest, 1, "source FILE", e);
    if (!rc) rc = file_check_regular(w.at[0], e);
    if (!rc) rc = script_push_file(&a->script, w.at[0], false, e);
    *flags |= APP_REDRAW;
    return rc;
}
