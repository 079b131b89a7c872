/* programs.h - the command lines that the terminal tests start. */
#ifndef TABES_TEST_PROGRAMS_H
#define TABES_TEST_PROGRAMS_H

#define SUDOKU_PROMPT                                                                                        \
    "589..4...\n..6..3...\n...759.68\n.6......9\n.13.....4\n7.4..6...\n.479..5..\n1958.7...\n2..1....."

static const char *const sudoku_args[] = {"open", "-m", "sudoku", "-p", SUDOKU_PROMPT, NULL};

/* Every step asks the oracle for all positions of a long text: long enough to be cut short. */
#define SLOW_LENGTH "240"
static const char *const slow_args[] = {"open",     "-m",        "story",    "-p",     "Once upon a time",
                                        "--length", SLOW_LENGTH, "--policy", "oracle", "--rho",
                                        "1",        NULL};

#endif
