/* comma_locale.h - a locale with a decimal comma, made by localedef(1): a machine may have none but C's. */
#ifndef TABES_COMMA_LOCALE_H
#define TABES_COMMA_LOCALE_H

#include <ftw.h>
#include <locale.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static inline int remove_file(const char *path, const struct stat *st, int kind, struct FTW *at) {
    (void)st, (void)kind, (void)at;
    return remove(path);
}

static inline void make_locale(char *path) {
    char *const command[] = {"localedef", "-i", "de_DE", "-f", "UTF-8", path, NULL};
    char *const env[] = {NULL};
    pid_t child;
    if (posix_spawnp(&child, command[0], NULL, NULL, command, env) == 0) waitpid(child, NULL, 0);
}

/* This process's locale but for its numbers, or 0 (then skip): there is no localedef, or it lacks its
 * sources, which are in Debian's package `locales`. */
static inline locale_t comma_locale(void) {
    char folder[] = "/tmp/tabes-locale-XXXXXX", path[64];
    if (!mkdtemp(folder)) return (locale_t)0;
    snprintf(path, sizeof path, "%s/comma", folder);
    make_locale(path);
    setenv("LOCPATH", folder, 1);
    /* Not newlocale: glibc's never frees its list of LOCPATH's folders. */
    locale_t comma = setlocale(LC_NUMERIC, "comma") ? duplocale(LC_GLOBAL_LOCALE) : (locale_t)0;
    setlocale(LC_NUMERIC, "C");
    unsetenv("LOCPATH");
    nftw(folder, remove_file, 8, FTW_DEPTH | FTW_PHYS);
    if (!comma) print_message("no locale with a decimal comma: localedef could not make one\n");
    return comma;
}

#endif
