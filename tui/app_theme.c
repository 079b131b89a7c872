/* app_theme.c - which theme the workbench wears: the one asked for, and the next one. */
#include <stdlib.h>

#include "engine/base/mem.h"
#include "tui/app.h"
#include "tui/theme.h"

struct app_themes {
    theme_list list;
    int at; /* index of the list; -1: a file of its own */
    theme worn;
};

/* Without memory for the list there is still the built-in theme. */
void app_themes_open(app *a, const tui_opts *o) {
    err e = {0};
    app_themes *s = a->themes = mem_new(1, sizeof *s);
    if (!s || theme_list_open(&s->list, o->theme_dirs, &e)) {
        free(s);
        a->themes = NULL;
        return;
    }
    const char *wish = o->theme ? o->theme : s->list.at[0].name;
    if (theme_open(&s->worn, &s->list, wish, &e)) {
        s->worn = *theme_builtin();
        app_complain(a, "%s; the default theme is used", e.msg);
        s->at = 0;
    } else {
        s->at = theme_list_find(&s->list, wish);
    }
    a->pal.theme = &s->worn;
}

void app_themes_close(app *a) {
    if (!a->themes) return;
    theme_list_release(&a->themes->list);
    free(a->themes);
    a->themes = NULL;
}

static unsigned wear(app *a, const theme *t) {
    app_themes *s = a->themes;
    s->worn = *t;
    app_say(a, "theme %s (%d of %d)%s", t->name, s->at + 1, s->list.n,
            a->pal.mode == MODE_NONE ? ", without colours" : "");
    return APP_REDRAW | APP_PAINT;
}

int app_wear_theme(app *a, const char *name, unsigned *flags, err *e) {
    app_themes *s = a->themes;
    theme t;
    if (!s) return err_set(e, ERR_NO_MEMORY, "no memory for the list of themes");
    int rc = theme_open(&t, &s->list, name, e);
    if (rc) return rc;
    s->at = theme_list_find(&s->list, name);
    *flags |= wear(a, &t);
    return 0;
}

const char *app_theme_name(const app *a, int i) {
    return a->themes && i < a->themes->list.n ? a->themes->list.at[i].name : NULL;
}

/* A broken file is named and passed over: the next press goes on behind it. */
unsigned app_next_theme(app *a, int count) {
    (void)count;
    app_themes *s = a->themes;
    theme t;
    err e = {0};
    if (!s) return APP_NONE;
    s->at = (s->at + 1) % s->list.n;
    if (theme_list_load(&s->list, s->at, &t, &e)) {
        app_complain(a, "%s; theme %s stays", e.msg, s->worn.name);
        return APP_REDRAW;
    }
    return wear(a, &t);
}
