/* terminal.c - a pty whose slave end stays open here, so that its modes can be compared after the program is
 * gone. */
#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <utmp.h>
#include <vterm.h>

enum { MAX_TEXT = 1 << 17, MAX_LOG = 1 << 22, DEADLINE = 20, MAX_ARGS = 32 };

struct terminal {
    int master, slave;
    pid_t pid;
    int status;
    bool ended;
    struct termios before;
    struct timespec started;
    VTerm *vt;
    VTermScreen *screen;
    int cols, rows;
    bool altscreen, cursor;
    int mouse; /* VTERM_PROP_MOUSE_NONE, ... */
    char text[MAX_TEXT];
    char *log;
    size_t n_log;
};

/* Starting ------------------------------------------------------------ */

static int on_property(VTermProp prop, VTermValue *v, void *user) {
    terminal *t = user;
    if (prop == VTERM_PROP_ALTSCREEN) t->altscreen = v->boolean;
    if (prop == VTERM_PROP_CURSORVISIBLE) t->cursor = v->boolean;
    if (prop == VTERM_PROP_MOUSE) t->mouse = v->number;
    return 1;
}

static const VTermScreenCallbacks callbacks = {.settermprop = on_property};

static void on_output(const char *s, size_t n, void *user) {
    terminal *t = user;
    ssize_t done = write(t->master, s, n);
    (void)done;
}

static void open_screen(terminal *t) {
    t->cursor = true;
    t->vt = vterm_new(t->rows, t->cols);
    vterm_set_utf8(t->vt, 1);
    vterm_output_set_callback(t->vt, on_output, t);
    t->screen = vterm_obtain_screen(t->vt);
    vterm_screen_enable_altscreen(t->screen, 1);
    vterm_screen_set_callbacks(t->screen, &callbacks, t);
    vterm_screen_reset(t->screen, 1);
}

static void change_environment(const char *const *settings) {
    static const char *const unset[] = {"LINES", "COLUMNS", "NO_COLOR", "COLORTERM", "CLICOLOR_FORCE"};
    for (size_t i = 0; i < sizeof unset / sizeof unset[0]; i++) unsetenv(unset[i]);
    setenv("TERM", "xterm-256color", 1);
    setenv("LC_ALL", "C.UTF-8", 1);
    for (; settings && *settings; settings++) {
        const char *eq = strchr(*settings, '=');
        if (eq) {
            putenv(strdup(*settings));
        } else {
            unsetenv(*settings);
        }
    }
}

static void run_program(const terminal *t, const char *const *args, const char *const *settings) {
    char *argv[MAX_ARGS + 2];
    const char *program = getenv("TABES");
    int n = 0;
    close(t->master);
    if (login_tty(t->slave)) _exit(127);
    change_environment(settings);
    argv[n++] = strdup(program);
    for (; args && *args && n <= MAX_ARGS; args++) argv[n++] = strdup(*args);
    argv[n] = NULL;
    execv(program, argv);
    _exit(127);
}

terminal *terminal_start(int cols, int rows, const char *const *args, const char *const *settings) {
    if (!getenv("TABES") || access(getenv("TABES"), X_OK)) {
        fprintf(stderr, "the environment names no program: TABES=%s\n",
                getenv("TABES") ? getenv("TABES") : "");
        exit(1);
    }
    terminal *t = calloc(1, sizeof *t);
    struct winsize size = {.ws_col = (unsigned short)cols, .ws_row = (unsigned short)rows};
    if (!t || !(t->log = malloc(MAX_LOG)) || openpty(&t->master, &t->slave, NULL, NULL, &size)) abort();
    fcntl(t->master, F_SETFL, O_NONBLOCK);
    fcntl(t->master, F_SETFD, FD_CLOEXEC);
    t->cols = cols;
    t->rows = rows;
    tcgetattr(t->slave, &t->before);
    open_screen(t);
    clock_gettime(CLOCK_MONOTONIC, &t->started);
    t->pid = fork();
    if (t->pid < 0) abort();
    if (!t->pid) run_program(t, args, settings);
    return t;
}

void terminal_end(terminal *t) {
    if (terminal_exit(t, 0) == -1) {
        kill(t->pid, SIGKILL);
        waitpid(t->pid, NULL, 0);
    }
    vterm_free(t->vt);
    close(t->master);
    close(t->slave);
    free(t->log);
    free(t);
}

double terminal_seconds(const terminal *t) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - t->started.tv_sec) + 1e-9 * (double)(now.tv_nsec - t->started.tv_nsec);
}

/* Talking ------------------------------------------------------------- */

void terminal_pump(terminal *t, int ms) {
    char buf[65536];
    struct pollfd fd = {.fd = t->master, .events = POLLIN};
    if (poll(&fd, 1, ms) <= 0) return;
    ssize_t n;
    while ((n = read(t->master, buf, sizeof buf)) > 0) {
        size_t room = MAX_LOG - t->n_log, keep = (size_t)n < room ? (size_t)n : room;
        memcpy(t->log + t->n_log, buf, keep);
        t->n_log += keep;
        vterm_input_write(t->vt, buf, (size_t)n);
    }
}

void terminal_send(terminal *t, const char *keys) {
    size_t n = strlen(keys);
    while (n) {
        ssize_t k = write(t->master, keys, n);
        if (k > 0) {
            keys += k;
            n -= (size_t)k;
        } else {
            terminal_pump(t, 10);
        }
    }
}

void terminal_resize(terminal *t, int cols, int rows) {
    struct winsize size = {.ws_col = (unsigned short)cols, .ws_row = (unsigned short)rows};
    t->cols = cols;
    t->rows = rows;
    vterm_set_size(t->vt, rows, cols);
    ioctl(t->master, TIOCSWINSZ, &size);
    kill(t->pid, SIGWINCH);
}

void terminal_signal(terminal *t, int sig) {
    kill(t->pid, sig);
}

void terminal_click(terminal *t, int x, int y) {
    char keys[64];
    snprintf(keys, sizeof keys, "\033[<0;%d;%dM\033[<0;%d;%dm", x + 1, y + 1, x + 1, y + 1);
    terminal_send(t, keys);
}

bool terminal_has(terminal *t, const char *text) {
    return strstr(terminal_text(t), text);
}

static bool wait_for(terminal *t, const char *text, bool there) {
    double until = terminal_seconds(t) + DEADLINE;
    while (terminal_has(t, text) != there) {
        if (terminal_seconds(t) > until) {
            fprintf(stderr, "waited for '%s' to %s; the screen is\n%s", text, there ? "come" : "go",
                    terminal_text(t));
            return false;
        }
        terminal_pump(t, 20);
    }
    return true;
}

bool terminal_wait(terminal *t, const char *text) {
    return wait_for(t, text, true);
}

bool terminal_wait_gone(terminal *t, const char *text) {
    return wait_for(t, text, false);
}

/* Reading ------------------------------------------------------------- */

static size_t put_utf8(uint32_t cp, char *out) {
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    int len = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
    for (int i = len - 1; i > 0; i--, cp >>= 6) out[i] = (char)(0x80 | (cp & 0x3F));
    out[0] = (char)((len == 2 ? 0xC0 : len == 3 ? 0xE0 : 0xF0) | cp);
    return (size_t)len;
}

static bool get_cell(terminal *t, int x, int y, VTermScreenCell *c) {
    return vterm_screen_get_cell(t->screen, (VTermPos){.row = y, .col = x}, c);
}

static size_t put_cell(terminal *t, int x, int y, char *out) {
    VTermScreenCell c;
    size_t n = 0;
    if (!get_cell(t, x, y, &c) || c.chars[0] == (uint32_t)-1) return 0;
    if (!c.chars[0]) return put_utf8(' ', out);
    for (int i = 0; i < VTERM_MAX_CHARS_PER_CELL && c.chars[i]; i++) n += put_utf8(c.chars[i], out + n);
    return n;
}

const char *terminal_text(terminal *t) {
    size_t n = 0;
    for (int y = 0; y < t->rows; y++) {
        for (int x = 0; x < t->cols && n + 32 < MAX_TEXT; x++) n += put_cell(t, x, y, t->text + n);
        t->text[n++] = '\n';
    }
    t->text[n] = '\0';
    return t->text;
}

bool terminal_find(terminal *t, const char *text, int *x, int *y) {
    char rest[4096];
    for (*y = 0; *y < t->rows; ++*y) {
        for (*x = 0; *x < t->cols; ++*x) {
            size_t n = 0;
            for (int k = *x; k < t->cols && n < strlen(text) && n + 32 < sizeof rest; k++)
                n += put_cell(t, k, *y, rest + n);
            if (n >= strlen(text) && !memcmp(rest, text, strlen(text))) return true;
        }
    }
    return false;
}

static int color_index(VTermColor c, bool background) {
    if (background ? VTERM_COLOR_IS_DEFAULT_BG(&c) : VTERM_COLOR_IS_DEFAULT_FG(&c)) return -1;
    return VTERM_COLOR_IS_INDEXED(&c) ? c.indexed.idx : -2;
}

look terminal_look(terminal *t, int x, int y) {
    VTermScreenCell c;
    look l = {-1, -1, false, false, false};
    if (!get_cell(t, x, y, &c)) return l;
    return (look){color_index(c.bg, true), color_index(c.fg, false), c.attrs.bold, c.attrs.underline,
                  c.attrs.reverse};
}

int terminal_backgrounds(terminal *t, int x, int y, int w, int h) {
    bool seen[258] = {false};
    int n = 0;
    for (int row = y; row < y + h; row++) {
        for (int col = x; col < x + w; col++) {
            bool *s = &seen[terminal_look(t, col, row).bg + 2];
            n += !*s;
            *s = true;
        }
    }
    return n;
}

/* Ending -------------------------------------------------------------- */

int terminal_exit(terminal *t, double seconds) {
    double until = terminal_seconds(t) + seconds;
    while (!t->ended) {
        pid_t got = waitpid(t->pid, &t->status, WNOHANG);
        if (got == t->pid) t->ended = true;
        terminal_pump(t, t->ended ? 0 : 10);
        if (!t->ended && terminal_seconds(t) > until) return -1;
    }
    terminal_pump(t, 0);
    return t->status;
}

bool terminal_in_use(terminal *t) {
    return t->altscreen;
}

bool terminal_restored(terminal *t) {
    struct termios now;
    tcgetattr(t->slave, &now);
    bool modes = now.c_iflag == t->before.c_iflag && now.c_oflag == t->before.c_oflag &&
                 now.c_lflag == t->before.c_lflag && now.c_cflag == t->before.c_cflag;
    if (!modes || t->altscreen || !t->cursor || t->mouse) {
        fprintf(stderr, "modes %s, alternate screen %s, cursor %s, mouse %s\n", modes ? "equal" : "changed",
                t->altscreen ? "on" : "off", t->cursor ? "shown" : "hidden", t->mouse ? "on" : "off");
    }
    return modes && !t->altscreen && t->cursor && !t->mouse;
}

bool terminal_hears_drags(const terminal *t) {
    return t->mouse == VTERM_PROP_MOUSE_DRAG;
}

bool terminal_saw(terminal *t, const char *bytes) {
    return memmem(t->log, t->n_log, bytes, strlen(bytes));
}
