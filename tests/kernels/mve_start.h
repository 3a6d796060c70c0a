/* What a test program on the board has: text out, and an end. */
#ifndef MVE_START_H
#define MVE_START_H

#include <stdint.h>

void say(const char *text);
void say_number(int32_t v);
void leave(int status);

#endif
