/* clock.h - monotonic time. */
#ifndef TABES_BASE_CLOCK_H
#define TABES_BASE_CLOCK_H

/* Seconds since an arbitrary start; never goes back. */
double clock_now(void);

#endif
