/* start.c - what is given beforehand. */
#include "tui/start.h"

#include <string.h>

#include "tui/keys.h"

int start_key(app *a, const char **keys, unsigned *flags, err *e) {
    uint32_t cp = 0;
    int used = utf8_decode(*keys, strlen(*keys), &cp);
    if (used <= 0) return err_set(e, ERR_BAD_ARGUMENT, "keys: not UTF-8");
    *keys += used;
    *flags |= keys_press(a, (int)cp);
    return 0;
}

/* A file that was named and cannot be read is a bad argument, and no failure of what the workbench does. */
static int read_file(app *a, const char *path, bool lenient, err *e) {
    int rc = script_push_file(&a->script, path, lenient, e);
    if (rc == ERR_IO) rc = e->code = ERR_BAD_ARGUMENT;
    return rc;
}

int start_config(app *a, const tui_opts *o, err *e) {
    return o->config ? read_file(a, o->config, true, e) : 0;
}

/* What comes first is pushed last. */
int start_commands(app *a, const tui_opts *o, err *e) {
    int rc = o->script ? read_file(a, o->script, false, e) : 0;
    return rc || !o->exec ? rc : script_push(&a->script, "--exec", o->exec, true, false, e);
}
