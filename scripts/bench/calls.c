// Counts what a program asks of the C library: stands before it by LD_PRELOAD, and writes one line to the file that
// COUNTS names when the program ends: allocations, locks taken, locks waited for, waits for a condition, copies of at
// least 4 kB, their bytes. Built and read by scripts/bench/calls.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static atomic_long allocations, locks, waits, conditions, copies, bytes;

extern void* __libc_malloc(size_t);
extern void* __libc_calloc(size_t, size_t);
extern void* __libc_realloc(void*, size_t);
extern void* __libc_memalign(size_t, size_t);

void* malloc(size_t n) {
  ++allocations;
  return __libc_malloc(n);
}
void* calloc(size_t n, size_t size) {
  ++allocations;
  return __libc_calloc(n, size);
}
void* realloc(void* p, size_t n) {
  ++allocations;
  return __libc_realloc(p, n);
}
void* aligned_alloc(size_t alignment, size_t n) {
  ++allocations;
  return __libc_memalign(alignment, n);
}
int posix_memalign(void** p, size_t alignment, size_t n) {
  ++allocations;
  *p = __libc_memalign(alignment, n);
  return *p != NULL ? 0 : ENOMEM;
}

void* memcpy(void* restrict to, const void* restrict from, size_t n) {
  if (n >= 4096) {
    ++copies;
    bytes += n;
  }
  return memmove(to, from, n);
}

int pthread_mutex_lock(pthread_mutex_t* mutex) {
  static int (*next)(pthread_mutex_t*);
  if (next == NULL) next = dlsym(RTLD_NEXT, "pthread_mutex_lock");
  ++locks;
  if (pthread_mutex_trylock(mutex) == 0) return 0;
  ++waits;
  return next(mutex);
}
int pthread_cond_wait(pthread_cond_t* condition, pthread_mutex_t* mutex) {
  static int (*next)(pthread_cond_t*, pthread_mutex_t*);
  if (next == NULL) next = dlsym(RTLD_NEXT, "pthread_cond_wait");
  ++conditions;
  return next(condition, mutex);
}

__attribute__((destructor)) static void write_counts(void) {
  const char* name = getenv("COUNTS");
  FILE* file = name != NULL ? fopen(name, "w") : NULL;
  if (file == NULL) return;
  fprintf(file, "%ld %ld %ld %ld %ld %ld\n", allocations, locks, waits, conditions, copies, bytes);
  fclose(file);
}
