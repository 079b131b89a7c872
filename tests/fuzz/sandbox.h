/* sandbox.h - what an input makes the program open, write and remove stays in one folder.
 *
 * Between fuzz_sandbox_enter and fuzz_sandbox_leave the calls of this program's code that take a path (they
 * are linked with --wrap) know plain names only, which lie in a folder of its own, and /dev/null. A name with
 * a slash is refused, so nothing that the fuzzer makes up reaches the machine. Leaving empties the folder.
 */
#ifndef TABES_FUZZ_SANDBOX_H
#define TABES_FUZZ_SANDBOX_H

#include <stddef.h>

void fuzz_sandbox_enter(void);
void fuzz_sandbox_leave(void);

/* A file that the next inputs find there under that name, until they change it. */
void fuzz_sandbox_put(const char *name, const void *data, size_t n);

#endif
