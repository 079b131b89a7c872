/* restore.c - escape sequences and saved modes, written by a signal handler on a stack of its own. */
#include "tui/restore.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

/* Sync off, mouse off, paste off, attributes, cursor on, main screen, keypad off. */
static const char leave[] =
    "\033[?2026l\033[?1000l\033[?1002l\033[?1003l\033[?1006l\033[?2004l\033[0m\033[?25h\033[?1049l"
    "\033[?1l\033>";
static const char end_sync[] = "\033[?2026l";

static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTERM, SIGHUP, SIGQUIT, SIGINT};
enum { N_FATAL = (int)(sizeof fatal / sizeof fatal[0]), STACK_BYTES = 64 << 10 };

static struct termios saved;
static volatile sig_atomic_t have_saved;
static struct sigaction before[N_FATAL];
static char stack_bytes[STACK_BYTES];

/* All of it: a slow terminal takes a part, and half a sequence would leave the screen as it was used. */
static void put(const char *s, size_t n) {
    for (ssize_t done; n; s += done, n -= (size_t)done) {
        done = write(STDOUT_FILENO, s, n);
        if (done < 0 && errno == EINTR) done = 0;
        if (done < 0) return;
    }
}

void restore_end_sync(void) {
    put(end_sync, sizeof end_sync - 1);
}

static void on_fatal(int sig) {
    put(leave, sizeof leave - 1);
    if (have_saved) tcsetattr(STDIN_FILENO, TCSANOW, &saved);
    /* The default action, when the handler returns. With SA_RESETHAND it would come into force before the
     * signal is blocked, and the second one of a storm would end the program in between, the screen as it was
     * used. */
    signal(sig, SIG_DFL);
    raise(sig);
}

void restore_prepare(void) {
    have_saved = !tcgetattr(STDIN_FILENO, &saved);
    stack_t stack = {.ss_sp = stack_bytes, .ss_size = sizeof stack_bytes};
    sigaltstack(&stack, NULL);
    for (int i = 0; i < N_FATAL; i++) sigaction(fatal[i], NULL, &before[i]);
    restore_catch();
}

void restore_catch(void) {
    struct sigaction act;
    memset(&act, 0, sizeof act);
    act.sa_handler = on_fatal;
    act.sa_flags = SA_ONSTACK;
    /* A storm of resizes or of stops does not interrupt it; another fatal signal may, and does the same. */
    sigfillset(&act.sa_mask);
    for (int i = 0; i < N_FATAL; i++) sigdelset(&act.sa_mask, fatal[i]);
    for (int i = 0; i < N_FATAL; i++) sigaction(fatal[i], &act, NULL);
}

void restore_done(void) {
    for (int i = 0; i < N_FATAL; i++) sigaction(fatal[i], &before[i], NULL);
}
