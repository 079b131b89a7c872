/* test_eval_tasks.c - examples of every task from tiny files in the public layouts, and what counts as right.
 */
#include "checks.h"

#include <stdlib.h>
#include <string.h>

#include "eval/answer.h"
#include "eval/task.h"

static example_set set;

/* Loads a text as the file of a task; the message of a refusal in *e. */
static int load(const char *name, const char *text, int max, err *e) {
    example_set_release(&set);
    *e = (err){0};
    return task_find(name)->load(&set, text, strlen(text), max, e);
}

static void expect_load(const char *name, const char *text, int n) {
    err e;
    MUST(load(name, text, 0, &e), &e);
    CHECK(set.n == n);
}

static void expect_refused(const char *name, const char *text, const char *needle) {
    err e;
    int rc = load(name, text, 0, &e);
    if (!CHECK(rc != 0 && strstr(e.msg, needle) != NULL)) print_error("  %s: %s\n", name, e.msg);
}

static verdict judge(const char *name, int i, const char *text) {
    return task_find(name)->check(&set.items[i], text, strlen(text));
}

static void expect_right(const char *name, const char *text, bool right) {
    if (!CHECK(judge(name, 0, text) == (right ? VERDICT_RIGHT : VERDICT_WRONG)))
        print_error("  %s: '%s'\n", name, text);
}

static void sudoku_files(void **state) {
    (void)state;
    expect_load("sudoku",
                "Puzzle,Solution\n3102200002100320,3142243142131324\r\n0140432014020000,2143432114323214\n",
                2);
    CHECK(!strcmp(set.items[0].prompt, "31<mask>2\n2<mask><mask><mask>\n<mask>21<mask>\n<mask>32<mask>"));
    expect_right("sudoku", "3142\n2431\n4213\n1324", true);
    expect_right("sudoku", "3142243142131324", true);
    expect_right("sudoku", "3142\n2431\n4213\n1342", false); /* a clue is changed */
    expect_right("sudoku", "3142\n2431\n4213\n132", false);
    expect_right("sudoku", "3142\n2431\n4213\n13240", false);
    expect_right("sudoku", "", false);
    expect_right("sudoku", "314224314213132x", false);
    expect_refused("sudoku", "Puzzle,Solution\n310,314\n", "line 2");
    expect_refused("sudoku", "3302200002100320,3142243142131324\n", "rule");
    expect_refused("sudoku", "3102200002100320\n", "no solution");
    expect_refused("sudoku", "3142243142131324,3142243142131324\n", "no blanks");
}

/* Any grid that keeps the clues and the rules is right, not only the file's. */
static void sudoku_other_solution(void **state) {
    (void)state;
    expect_load("sudoku", "1234341200000000,1234341221434321\n", 1);
    expect_right("sudoku", "1234\n3412\n2143\n4321", true);
    expect_right("sudoku", "1234\n3412\n4321\n2143", true);
    expect_right("sudoku", "1234\n3412\n4321\n2134", false);
}

static void sudoku_generated(void **state) {
    (void)state;
    err e = {0};
    example_set few = {0}, more = {0};
    MUST(task_examples(task_find("sudoku"), &(task_opts){.n = 3}, &few, &e), &e);
    MUST(task_examples(task_find("sudoku"), &(task_opts){.n = 5}, &more, &e), &e);
    CHECK(few.n == 3 && more.n == 5);
    for (int i = 0; i < few.n; i++) CHECK(!strcmp(few.items[i].prompt, more.items[i].prompt));
    CHECK(strcmp(more.items[3].prompt, more.items[4].prompt) != 0);
    for (int i = 0; i < more.n; i++) {
        int clues = 0;
        for (const char *s = more.items[i].answer; *s; s++) clues += *s >= '1' && *s <= '9';
        CHECK(clues == SUDOKU_CLUES);
    }
    example_set_release(&few);
    example_set_release(&more);
    CHECK(task_examples(task_find("gsm8k"), &(task_opts){.n = 3}, &few, &e) == ERR_BAD_ARGUMENT);
    CHECK(strstr(e.msg, "--data") != NULL);
}

static void countdown(void **state) {
    (void)state;
    expect_load("countdown", "{\"input\": \"15,44,79,50\", \"output\": \"44-15=29,79-29=50\"}\n\n", 1);
    CHECK(strstr(set.items[0].prompt, "Numbers 15,44,79. Target 50.") != NULL);
    expect_right("countdown", "44-15=29,79-29=50", true);
    expect_right("countdown", " 15 - 44 = -29, 79 + -29 = 50.\nmore", true); /* another derivation */
    expect_right("countdown", "79-44=35,35+15=50", true);
    expect_right("countdown", "44-15=29", false);          /* numbers are left */
    expect_right("countdown", "44-15=30,79-30=49", false); /* arithmetic */
    expect_right("countdown", "44-15=29,79-28=51", false); /* a number that is not there */
    expect_right("countdown", "44-15=29,79-29=50,50-0=50", false);
    expect_right("countdown", "44-44=0,50+0=50", false); /* a number twice */
    expect_right("countdown", "44-15=29,79-29=50,", false);
    expect_right("countdown", "", false);
    expect_right("countdown", "50", false);
    expect_load("countdown", "{\"input\": \"7,2,3,9\"}", 1);
    expect_right("countdown", "7/2=3,3*3=9", false); /* does not come out even */
    expect_load("countdown", "{\"input\": \"8,2,3,12\"}", 1);
    expect_right("countdown", "8/2=4,4*3=12", true);
    expect_right("countdown", "8/0=0,4*3=12", false);
    expect_refused("countdown", "{\"input\": \"7\"}", "input");
    expect_refused("countdown", "{\"output\": \"7\"}", "no text field");
    expect_refused("countdown", "\nnonsense\n", "line 2");
}

static void countdown_generated(void **state) {
    (void)state;
    err e = {0};
    example_set s;
    MUST(task_examples(task_find("countdown"), &(task_opts){.n = 200}, &s, &e), &e);
    for (int i = 0; i < s.n; i++) {
        const char *comma = strrchr(s.items[i].answer, ',');
        long target = comma ? strtol(comma + 1, NULL, 10) : 0;
        CHECK(target >= 10 && target <= 100);
    }
    example_set_release(&s);
}

static void story(void **state) {
    (void)state;
    expect_load("story", "{\"prompt\": \"P\", \"answer\": \"2 * 9 = 18. #### 18\", \"result\": 18}\n", 1);
    expect_right("story", " 2 * 9 = 18. #### 18", true);
    expect_right("story", "#### 17 #### 18 and", true);
    expect_right("story", "#### 180", false);
    expect_right("story", "18", false);
    expect_refused("story", "{\"prompt\": \"P\"}", "result");
}

static void gsm8k(void **state) {
    (void)state;
    expect_load("gsm8k", "{\"question\": \"Q?\", \"answer\": \"<<1000+125=1125>>1125\\n#### 1,125\"}\n", 1);
    expect_right("gsm8k", "so 1000 + 125 = 1125\n#### 1125", true);
    expect_right("gsm8k", "#### $1,125.00 dollars", true);
    expect_right("gsm8k", "the answer is \\boxed{1125}. Checked 3 times.", true);
    expect_right("gsm8k", "She earns 1000 and 125, in all 1,125.", true);
    expect_right("gsm8k", "#### 1125.5", false);
    expect_right("gsm8k", "#### -1125", false);
    expect_right("gsm8k", "1125 - 125 = 1000", false);
    expect_right("gsm8k", "", false);
    expect_refused("gsm8k", "{\"question\": \"Q\", \"answer\": \"7\"}", "####");
}

static void same(const char *a, const char *b, bool equal) {
    strbuf x, y;
    answer_normal((span){a, strlen(a)}, &x);
    answer_normal((span){b, strlen(b)}, &y);
    if (!CHECK((strcmp(x.data, y.data) == 0) == equal))
        print_error("  '%s' -> '%s', '%s' -> '%s'\n", a, x.data, b, y.data);
    strbuf_release(&x);
    strbuf_release(&y);
}

static void math500(void **state) {
    (void)state;
    same("\\dfrac{17}{50}", "\\frac{17}{50}", true);
    same("\\frac43", "\\frac{4}{3}", true);
    same("\\frac{270}7", "\\frac{270}{7}", true);
    same("3/4", "\\frac{3}{4}", true);
    same("99999999999999999998/3", "99999999999999999999/3", false);
    same("11\\sqrt2", "11\\sqrt{2}", true);
    same("90^\\circ", "90", true);
    same("\\left( 3, \\frac{\\pi}{2} \\right)", "(3,\\frac{\\pi}{2})", true);
    same("0.5", "\\frac{1}{2}", true);
    same(".15", "0.15", true);
    same("x=5", "5", true);
    same("\\text{Evelyn}", "Evelyn", true);
    same("5\\text{ degrees}", "5", true);
    same("50\\%", "50", true);
    same("-2 + 7i", "-2+7i", true);
    same("\\frac{1}{2}", "\\frac{1}{3}", false);
    same("x+1", "1+x", false);
    expect_load("math500", "{\"problem\": \"P\", \"answer\": \"p - q\", \"unique_id\": \"test/1.json\"}\n",
                1);
    CHECK(!strcmp(set.items[0].id, "test/1.json"));
    expect_right("math500", "we get \\boxed{1} and then $\\boxed{p-q}$.", true);
    expect_right("math500", "so \\boxed p-q", true);
    expect_right("math500", "p - q", false);
    expect_right("math500", "\\boxed{p-q", false);
}

static void expect_sample(const char *name, const char *text, const char *line) {
    strbuf out;
    err e = {0};
    strbuf_init(&out, 1 << 16);
    MUST(task_sample(task_find(name), &set.items[0], text, strlen(text), &out, &e), &e);
    if (!CHECK(!strcmp(out.data, line))) print_error("  %s: %s", name, out.data);
    strbuf_release(&out);
}

static void code(void **state) {
    (void)state;
    expect_load("humaneval", "{\"task_id\": \"HumanEval/0\", \"prompt\": \"def f():\\n\", \"test\": \"\"}\n",
                1);
    expect_sample("humaneval", "    return 1\n\ndef g():\n    pass\n",
                  "{\"task_id\":\"HumanEval/0\",\"completion\":\"    return 1\\n\"}\n");
    expect_sample("humaneval", "Sure:\n```python\ndef f():\n    return 1\n```\nDone.",
                  "{\"task_id\":\"HumanEval/0\",\"completion\":\"def f():\\n    return 1\\n\"}\n");
    expect_load("mbpp", "[{\"task_id\": 2, \"prompt\": \"Do it.\", \"test_list\": [\"assert f() == 1\"]}]",
                1);
    CHECK(strstr(set.items[0].prompt, "assert f() == 1\n[BEGIN]\n") != NULL);
    expect_sample("mbpp", "def f():\n  return 1\n[DONE]\nx",
                  "{\"task_id\":\"Mbpp/2\",\"solution\":\"def f():\\n  return 1\\n\"}\n");
    expect_load("mbpp", "{\"task_id\": 3, \"text\": \"Do it.\", \"test_list\": []}\n", 1);
    expect_refused("mbpp", "[1]", "problem 1");
    expect_refused("mbpp", "[{\"task_id\": 2}]", "no text field");
    CHECK(!task_find("humaneval")->check);
}

static void texts(void **state) {
    (void)state;
    expect_load("text", "one\n\ntwo\n", 2);
    expect_load("text", "{\"text\": \"a\"}\n{\"prompt\": \"b\"}\n", 2);
    expect_sample("text", "bad \xff byte", "{\"text\":\"bad \xef\xbf\xbd byte\"}\n");
}

static void limits(void **state) {
    (void)state;
    err e;
    MUST(load("text", "a\nb\nc\n", 2, &e), &e);
    CHECK(set.n == 2);
    example_set none;
    CHECK(task_examples(task_find("sudoku"), &(task_opts){.data = "/nonexistent"}, &none, &e) != 0 &&
          !none.n);
    CHECK(!task_find("magic"));
    for (int i = 0; tasks[i]; i++) CHECK(strstr(task_names(), tasks[i]->name) != NULL);
    example_set_release(&set);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(sudoku_files),
                                       cmocka_unit_test(sudoku_other_solution),
                                       cmocka_unit_test(sudoku_generated),
                                       cmocka_unit_test(countdown),
                                       cmocka_unit_test(countdown_generated),
                                       cmocka_unit_test(story),
                                       cmocka_unit_test(gsm8k),
                                       cmocka_unit_test(math500),
                                       cmocka_unit_test(code),
                                       cmocka_unit_test(texts),
                                       cmocka_unit_test(limits)};
    return finish("eval_tasks", cmocka_run_group_tests(tests, NULL, NULL));
}
