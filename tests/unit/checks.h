/* checks.h - counted checks: each failure names its line and the test goes on.
 *
 * A program ends with finish("score"), which prints "score: 312 checks, 0 failed" and gives the exit code.
 */
#ifndef TABES_CHECKS_H
#define TABES_CHECKS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>

static int n_checks, n_failed;

static inline bool check_at(bool ok, const char *file, int line, const char *what) {
    n_checks++;
    if (!ok) {
        n_failed++;
        print_error("%s:%d: %s\n", file, line, what);
    }
    return ok;
}
#define CHECK(cond) check_at((cond), __FILE__, __LINE__, #cond)

/* Calls that must not fail here. */
#define MUST(call, e)                                                                                        \
    do {                                                                                                     \
        if (call) fail_msg("%s:%d: %s", __FILE__, __LINE__, (e)->msg);                                       \
    } while (0)

/* Every value within tol of the largest expected magnitude (or of `least`, if that is larger). Returns the
 * largest distance in those units. */
static inline double close_at(const double *got, const double *want, int n, double tol, double least,
                              const char *what, const char *file, int line) {
    double top = least, worst = 0;
    int at = 0;
    for (int i = 0; i < n; i++) top = fmax(top, fabs(want[i]));
    for (int i = 0; i < n; i++) {
        double off = top > 0 ? fabs(got[i] - want[i]) / top : fabs(got[i]);
        if (!(off <= worst)) worst = off, at = i;
    }
    n_checks++;
    if (!(worst <= tol)) {
        n_failed++;
        print_error("%s:%d: %s[%d]: %.9g, expected %.9g (distance %.3g of the largest)\n", file, line, what,
                    at, got[at], want[at], worst);
    }
    return worst;
}
#define CLOSE(got, want, n, tol, what) close_at(got, want, n, tol, 1e-6, what, __FILE__, __LINE__)

static inline bool near(double got, double want, double tol) {
    return fabs(got - want) <= tol;
}

static inline int finish(const char *name, int rc) {
    printf("%s: %d checks, %d failed\n", name, n_checks, n_failed);
    return rc || n_failed ? 1 : 0;
}

#endif
