/* test_keys.c - the table of keys: every action has a command, no key has two meanings, and a letter after m
 * or ' names a mark. */
#include "checks.h"

#include <string.h>

#include "tui/command.h"
#include "tui/keys.h"

static void test_every_key_has_a_command(void **state) {
    (void)state;
    for (int i = 0; i < n_bindings; i++) {
        const binding *b = &bindings[i];
        if (!CHECK(b->command && command_known(b->command))) print_error("row %d: %s\n", i, b->command);
        CHECK(b->run && b->help && *b->help && b->keys[0]);
        for (int k = 0; k < i; k++) CHECK(strcmp(b->command, bindings[k].command) != 0);
    }
    for (int i = 0; app_commands[i].name; i++) {
        CHECK(command_known(app_commands[i].name));
        CHECK(!strncmp(app_commands[i].usage, app_commands[i].name, strlen(app_commands[i].name)));
    }
    CHECK(!command_known("nosuch") && !command_known("find-") && !command_known(""));
    CHECK(!command_known("mark-g")); /* short for one, but not its name */
}

/* The first key of a pair is none by itself. */
static void test_one_meaning(void **state) {
    (void)state;
    for (int i = 0; i < n_bindings; i++) {
        for (int k = 0; k < BINDING_KEYS && bindings[i].keys[k]; k++) {
            int key = bindings[i].keys[k], first = key >= KEY_TWO(0, 0) ? key >> 8 & 0xFF : 0;
            for (int m = 0; m < n_bindings; m++) {
                for (int j = 0; j < BINDING_KEYS && bindings[m].keys[j]; j++) {
                    int other = bindings[m].keys[j];
                    bool same = i == m && j == k;
                    if (!CHECK(same || other != key))
                        print_error("%s, %s\n", bindings[i].command, bindings[m].command);
                    CHECK(!first || other != first);
                }
            }
        }
    }
    char label[KEY_LABEL];
    CHECK(!strcmp(key_label(KEY_LETTER('m'), label), "m a-z"));
    CHECK(!strcmp(key_label(KEY_TWO(KEY_CTRL('w'), 'n'), label), "Ctrl-w n"));
    CHECK(!strcmp(key_label(KEY_TWO('g', 'g'), label), "gg"));
}

/* Over a trajectory of no steps, which the app only reads. */
static void test_marks(void **state) {
    (void)state;
    int32_t start[4] = {1, 1, 1, 1};
    trajectory t = {.head = {.n_tokens = 4, .start = start, .mask_id = 1}};
    static app a;
    a = (app){.n_panes = 1, .locked = true};
    a.panes[0].traj = &t;
    a.cursor = 3;
    keys_press(&a, 'm');
    CHECK(a.pending_key == 'm');
    keys_press(&a, 'q');
    CHECK(a.marks['q' - 'a'].set && a.marks['q' - 'a'].pos == 3 && !a.quit && !a.pending_key);
    a.cursor = 0;
    keys_press(&a, '\'');
    keys_press(&a, 'q');
    CHECK(a.cursor == 3 && !a.warning);
    keys_press(&a, '\'');
    keys_press(&a, 'r');
    CHECK(a.warning && strstr(a.message, "no mark r"));
    keys_press(&a, 'm');
    keys_press(&a, 'A');
    CHECK(strstr(a.message, "no meaning"));
    keys_press(&a, 'm');
    keys_press(&a, KEY_ESC);
    CHECK(!a.pending_key);
    a.marks[0] = (place_mark){true, 9, 2};
    keys_press(&a, '\'');
    keys_press(&a, 'a');
    CHECK(a.panes[0].state == 0 && a.cursor == 2 && strstr(a.message, "ends at 0"));
    err e = {0};
    unsigned flags = 0;
    MUST(command_run(&a, "mark c", &flags, &e), &e);
    CHECK(a.marks[2].set && a.marks[2].pos == 2 && a.marks[2].state == 0);
    MUST(command_run(&a, "mark-go q", &flags, &e), &e);
    CHECK(a.cursor == 3);
    CHECK(command_run(&a, "mark 3", &flags, &e) && command_run(&a, "mark-go x", &flags, &e));
    CHECK(command_run(&a, "mark-go", &flags, &e) && command_run(&a, "mark aa", &flags, &e));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_key_has_a_command),
                                       cmocka_unit_test(test_one_meaning), cmocka_unit_test(test_marks)};
    return finish("keys", cmocka_run_group_tests(tests, NULL, NULL));
}
