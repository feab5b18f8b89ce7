// What a plugin needs of the C library: the target has none. Blocks are kept in free lists by size, powers of two from
// 16 bytes on, so that an instance that is used again (`host.isolation=reuse`) does not grow with every request.

#include "stdlib.h"
#include "string.h"

#include <stdint.h>

enum { PAGE = 65536, SMALLEST = 4, CLASSES = 32 };

// Before each block; 16 bytes, so that blocks are aligned for anything.
typedef struct header {
  struct header *next;
  uint32_t class;
  uint64_t unused;
} header;

extern unsigned char __heap_base;
static uintptr_t top;
static header *lists[CLASSES];

_Noreturn void abort(void) { __builtin_trap(); }

static uint32_t class_of(size_t size) {
  uint32_t class = SMALLEST;
  while (((size_t)1 << class) < size) class++;
  return class;
}

// Memory nobody has had yet.
static void *grow(size_t size) {
  if (top == 0) top = ((uintptr_t)&__heap_base + 15) & ~(uintptr_t)15;
  uintptr_t end = top + size;
  uintptr_t have = (uintptr_t)__builtin_wasm_memory_size(0) * PAGE;
  if (end > have && __builtin_wasm_memory_grow(0, (end - have + PAGE - 1) / PAGE) == (size_t)-1) abort();
  void *block = (void *)top;
  top = end;
  return block;
}

void *malloc(size_t size) {
  if (size > (size_t)1 << 30) abort();
  uint32_t class = class_of(size);
  header *block = lists[class];
  if (block) {
    lists[class] = block->next;
  } else {
    block = grow(sizeof(header) + ((size_t)1 << class));
    block->class = class;
  }
  return block + 1;
}

void free(void *memory) {
  // The bindings free what a function returned; a string literal is not ours to give back.
  if ((uintptr_t)memory < (uintptr_t)&__heap_base) return;
  header *block = (header *)memory - 1;
  block->next = lists[block->class];
  lists[block->class] = block;
}

void *realloc(void *old, size_t size) {
  if (!old) return malloc(size);
  size_t had = (size_t)1 << ((header *)old - 1)->class;
  if (size <= had) return old;
  void *block = malloc(size);
  memcpy(block, old, had);
  free(old);
  return block;
}

// Without these, the compiler would turn each loop into a call of the function it is in.
#pragma clang diagnostic ignored "-Wunknown-attributes"
#define PLAIN __attribute__((no_builtin))

PLAIN void *memcpy(void *restrict to, const void *restrict from, size_t count) { return memmove(to, from, count); }

PLAIN void *memmove(void *to, const void *from, size_t count) {
  unsigned char *t = to;
  const unsigned char *f = from;
  if (t < f) {
    for (size_t i = 0; i < count; i++) t[i] = f[i];
  } else {
    while (count--) t[count] = f[count];
  }
  return to;
}

PLAIN void *memset(void *to, int byte, size_t count) {
  unsigned char *t = to;
  for (size_t i = 0; i < count; i++) t[i] = (unsigned char)byte;
  return to;
}

PLAIN int memcmp(const void *left, const void *right, size_t count) {
  const unsigned char *l = left, *r = right;
  for (size_t i = 0; i < count; i++) {
    if (l[i] != r[i]) return l[i] < r[i] ? -1 : 1;
  }
  return 0;
}

PLAIN size_t strlen(const char *text) {
  size_t length = 0;
  while (text[length]) length++;
  return length;
}
