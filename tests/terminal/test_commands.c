/* test_commands.c - the line after ':' and '/', its history and files, and the pointer on the timeline, in a
 * real terminal. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../unit/checks.h"
#include "support/programs.h"
#include "support/quit.h"
#include "support/terminal.h"

static char home[64], config_home[96], state_home[96], history[160], config[160];
static const char *settings[] = {config_home, state_home, NULL};

static int make_home(void **state) {
    (void)state;
    snprintf(home, sizeof home, "/tmp/tabes-test-XXXXXX");
    CHECK(mkdtemp(home));
    snprintf(config_home, sizeof config_home, "XDG_CONFIG_HOME=%s/c", home);
    snprintf(state_home, sizeof state_home, "XDG_STATE_HOME=%s/s", home);
    snprintf(history, sizeof history, "%s/s/tabes/commands", home);
    snprintf(config, sizeof config, "%s/c/tabes/config", home);
    return 0;
}

static int clear_home(void **state) {
    (void)state;
    static const char *const files[] = {"s/tabes/commands", "s/tabes/searches", "demo.tabes"};
    static const char *const folders[] = {"s/tabes", "s", "c/tabes", "c", ""};
    char path[160];
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", home, files[i]);
        unlink(path);
    }
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", home, folders[i]);
        rmdir(path);
    }
    return 0;
}

static void put_file(const char *path, const char *text) {
    char folder[160];
    snprintf(folder, sizeof folder, "%s", path);
    for (char *c = strchr(folder + 1, '/'); c; c = strchr(c + 1, '/')) {
        *c = '\0';
        mkdir(folder, 0700);
        *c = '/';
    }
    FILE *f = fopen(path, "w");
    CHECK(f && fputs(text, f) >= 0 && !fclose(f));
}

static terminal *start(void) {
    terminal *t = terminal_start(120, 40, sudoku_args, settings);
    CHECK(terminal_wait(t, "step 0/51"));
    return t;
}

static void test_typing(void **state) {
    (void)state;
    terminal *t = start();
    terminal_send(t, ":");
    CHECK(terminal_wait_gone(t, "LIVE"));
    terminal_send(t, "goto 7");
    CHECK(terminal_wait(t, ":goto 7"));
    terminal_send(t, "\r");
    CHECK(terminal_wait(t, "step 7/51"));
    terminal_send(t, ":pol\t");
    CHECK(terminal_wait(t, "policy  policy-next  policy-prev"));
    terminal_send(t, " lef\t");
    CHECK(terminal_wait(t, ":policy left-to-right"));
    terminal_send(t, "\r");
    CHECK(terminal_wait(t, "A left-to-right"));
    terminal_send(t, ":nosuch\r");
    CHECK(terminal_wait(t, "no command 'nosuch'"));
    terminal_send(t, ":export csv examples/traj\t");
    CHECK(terminal_wait(t, "examples/trajectories/"));
    terminal_send(t, "\003");
    CHECK(terminal_wait(t, "LIVE"));
    terminal_send(t, ":note gr\xC3\xBC\xC3\x9F \xE4\xB8\xAD");
    CHECK(terminal_wait(t, ":note gr\xC3\xBC\xC3\x9F \xE4\xB8\xAD"));
    terminal_send(t, "\033");
    CHECK(terminal_wait(t, "LIVE"));
    terminal_resize(t, 80, 24);
    terminal_send(t, ":");
    for (int i = 0; i < 30; i++) terminal_send(t, "0123456789");
    terminal_send(t, "end");
    CHECK(terminal_wait(t, "0123456789end"));
    terminal_send(t, "\033");
    quit(t);
}

static void test_history(void **state) {
    (void)state;
    struct stat st;
    terminal *t = start();
    terminal_send(t, ":goto 3\r");
    CHECK(terminal_wait(t, "step 3/51"));
    terminal_send(t, "/\"5\"\r");
    CHECK(terminal_wait(t, " of "));
    terminal_send(t, ":\033OA");
    CHECK(terminal_wait(t, ":goto 3"));
    terminal_send(t, "\003");
    CHECK(terminal_wait(t, "LIVE"));
    quit(t);
    CHECK(stat(history, &st) == 0 && (st.st_mode & 0777) == 0600);
    t = start();
    terminal_send(t, ":\033OA");
    CHECK(terminal_wait(t, ":goto 3"));
    terminal_send(t, "\r");
    CHECK(terminal_wait(t, "step 3/51"));
    quit(t);
}

/* A stranger's history: nothing of it reaches the terminal as it is. */
static void test_hostile_history(void **state) {
    (void)state;
    put_file(history, "note \033]0;owned\007\033[5mX\xC2\x9B\xFF\n");
    terminal *t = start();
    terminal_send(t, ":\033OA");
    CHECK(terminal_wait(t, "owned"));
    terminal_send(t, "\001\005\002");
    CHECK(!terminal_saw(t, "\033]0;owned"));
    CHECK(!terminal_saw(t, "\033[5mX"));
    terminal_send(t, "\003");
    CHECK(terminal_wait(t, "LIVE"));
    quit(t);
}

static void test_unwritable_home(void **state) {
    (void)state;
    const char *const nowhere[] = {"XDG_STATE_HOME=/proc/nowhere", config_home, NULL};
    terminal *t = terminal_start(80, 24, sudoku_args, nowhere);
    CHECK(terminal_wait(t, "step 0/51"));
    terminal_send(t, ":2\r");
    CHECK(terminal_wait(t, "step 2/51"));
    quit(t);
}

static void test_search(void **state) {
    (void)state;
    terminal *t = start();
    terminal_send(t, "/H>0.0\r");
    CHECK(terminal_wait(t, "1 of 51"));
    terminal_send(t, "n");
    CHECK(terminal_wait(t, "2 of 51"));
    terminal_send(t, "NN");
    CHECK(terminal_wait(t, "51 of 51"));
    terminal_send(t, "/H>x\r");
    CHECK(terminal_wait(t, "expected a number after the sign"));
    terminal_send(t, "/#33\r");
    CHECK(terminal_wait(t, "pos 33"));
    terminal_send(t, "z");
    CHECK(terminal_wait(t, "lowest margin"));
    quit(t);
}

static void test_config(void **state) {
    (void)state;
    put_file(config, "# mine\nnosuch thing\nentropy\nalso bad\n");
    terminal *t = start();
    CHECK(terminal_wait(t, "config:2: no command 'nosuch'"));
    CHECK(terminal_wait(t, "(and 1 more)"));
    CHECK(terminal_wait(t, "nats = ln 12"));
    quit(t);
    unlink(config);
}

static void test_script(void **state) {
    (void)state;
    char path[160];
    snprintf(path, sizeof path, "%s/demo.tabes", home);
    put_file(path, "goto 6\nnote here\nback 2\n");
    const char *args[] = {"open", "-m", "sudoku", "-p", SUDOKU_PROMPT, "--script", path, NULL};
    terminal *t = terminal_start(120, 40, args, settings);
    CHECK(terminal_wait(t, "step 4/51"));
    CHECK(terminal_wait(t, "\u203B"));
    terminal_send(t, "2s");
    CHECK(terminal_wait(t, "step 6: here"));
    quit(t);
    put_file(path, "goto 2\nquit\n");
    t = terminal_start(120, 40, args, settings);
    int status = terminal_exit(t, 20);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0 && terminal_restored(t));
    terminal_end(t);
}

/* Pressed on the timeline and pulled along, also off its row. */
static void test_drag(void **state) {
    (void)state;
    terminal *t = start();
    char keys[64];
    int x, y;
    terminal_send(t, ":goto 51\r");
    CHECK(terminal_wait(t, "step 51/51"));
    CHECK(terminal_wait(t, "\u25CF") && terminal_find(t, "\u25CF", &x, &y)); /* both panes are there */
    snprintf(keys, sizeof keys, "\033[<0;%d;%dM", 8, y + 1);
    terminal_send(t, keys);
    CHECK(terminal_wait(t, "step 0/51"));
    snprintf(keys, sizeof keys, "\033[<32;%d;%dM", 60, y);
    terminal_send(t, keys);
    CHECK(terminal_wait(t, "step 25/51"));
    snprintf(keys, sizeof keys, "\033[<0;%d;%dm", 60, y);
    terminal_send(t, keys);
    quit(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_typing),          cmocka_unit_test(test_history),
        cmocka_unit_test(test_hostile_history), cmocka_unit_test(test_unwritable_home),
        cmocka_unit_test(test_search),          cmocka_unit_test(test_config),
        cmocka_unit_test(test_script),          cmocka_unit_test(test_drag),
    };
    return finish("commands", cmocka_run_group_tests(tests, make_home, clear_home));
}
