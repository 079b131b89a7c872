/* banned.h - functions that fail to compile here; force-included into every source. */
#ifndef TABES_BASE_BANNED_H
#define TABES_BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf gets strtok atoi atol atof system popen

#endif
