/* words.c - the words of a command's argument. */
#include <string.h>

#include "tui/command.h"

static char escaped(char c, bool quoted) {
    return quoted && c == 'n' ? '\n' : quoted && c == 't' ? '\t' : c;
}

/* One word from *text into out; false when a quote does not end. */
static bool take_word(const char **text, char **out) {
    const char *s = *text;
    char *to = *out;
    bool quoted = false;
    for (; *s && (quoted || (*s != ' ' && *s != '\t')); s++) {
        if (*s == '"') {
            quoted = !quoted;
        } else if (*s == '\\' && s[1]) {
            *to++ = escaped(*++s, quoted);
        } else {
            *to++ = *s;
        }
    }
    *to++ = '\0';
    *text = s;
    *out = to;
    return !quoted;
}

int words_split(words *w, const char *text, err *e) {
    char *to = w->buf;
    w->n = 0;
    if (strlen(text) >= sizeof w->buf)
        return err_set(e, ERR_BAD_ARGUMENT, "longer than %d bytes", COMMAND_MAX_BYTES - 1);
    for (text += strspn(text, " \t"); *text && *text != '#'; text += strspn(text, " \t")) {
        if (w->n == COMMAND_MAX_WORDS)
            return err_set(e, ERR_BAD_ARGUMENT, "more than %d words", COMMAND_MAX_WORDS);
        w->at[w->n++] = to;
        if (!take_word(&text, &to)) return err_set(e, ERR_BAD_ARGUMENT, "a quote is not closed");
    }
    return 0;
}

int words_expect(words *w, const char *text, int n, const char *usage, err *e) {
    int rc = words_split(w, text, e);
    if (rc || w->n == n) return rc;
    return err_set(e, ERR_BAD_ARGUMENT, "found %d word%s, expected: %s", w->n, w->n == 1 ? "" : "s", usage);
}
