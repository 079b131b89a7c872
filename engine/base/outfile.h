/* outfile.h - a document to a file, as a whole. */
#ifndef TABES_BASE_OUTFILE_H
#define TABES_BASE_OUTFILE_H

#include "engine/base/strbuf.h"

/* Under a temporary name, to the disk, and renamed: on failure an older file is as it was and nothing is left
 * over. What cannot be replaced (a pipe, a device, a file in a folder that takes no new one) is written to. A
 * failed buffer is refused. */
int outfile_write(const char *path, const strbuf *text, err *e) MUST_CHECK;

#endif
