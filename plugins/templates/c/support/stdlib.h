// The part of the C library that a plugin gets; see memory.c.
#ifndef MLX_GATE_STDLIB_H
#define MLX_GATE_STDLIB_H

#include <stddef.h>

void *malloc(size_t size);
void *realloc(void *old, size_t size);
void free(void *block);
_Noreturn void abort(void);

#endif
