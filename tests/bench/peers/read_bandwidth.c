/* Measures how fast this machine reads memory: what a decode step of a model that is larger than the caches can reach.
 *
 *   read_bandwidth [THREADS=1] [MEGABYTES=2048] [REPEATS=5]
 *
 * Every thread adds up its own share of a buffer on huge pages (by madvise), with a few software-prefetch distances; the
 * best repeat of the best distance is printed as JSON. Build: cc -O3 -march=native -pthread read_bandwidth.c
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { kMaxThreads = 256, kLine = 64 };

typedef struct {
  const uint64_t* words;
  size_t count; /* a multiple of 32 */
  size_t prefetch_bytes;
  pthread_barrier_t* barrier;
  uint64_t sum;
} Share;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static uint64_t add_up(const uint64_t* words, size_t count, size_t prefetch_bytes) {
  uint64_t sums[32] = {0};
  for (size_t i = 0; i < count; i += 32) {
    if (prefetch_bytes) {
      const char* ahead = (const char*)(words + i) + prefetch_bytes;
      for (int line = 0; line < 4; ++line) __builtin_prefetch(ahead + line * kLine, 0, 3);
    }
    for (int j = 0; j < 32; ++j) sums[j] += words[i + (size_t)j];
  }
  uint64_t total = 0;
  for (int j = 0; j < 32; ++j) total += sums[j];
  return total;
}

static void* work(void* argument) {
  Share* share = argument;
  pthread_barrier_wait(share->barrier);
  share->sum = add_up(share->words, share->count, share->prefetch_bytes);
  pthread_barrier_wait(share->barrier);
  return NULL;
}

static double pass_seconds(const uint64_t* words, size_t count, int threads, size_t prefetch_bytes) {
  pthread_t ids[kMaxThreads];
  Share shares[kMaxThreads];
  pthread_barrier_t barrier;
  pthread_barrier_init(&barrier, NULL, (unsigned)threads + 1);
  const size_t each = count / (size_t)threads / 32 * 32;
  for (int i = 0; i < threads; ++i) {
    shares[i] = (Share){words + each * (size_t)i, each, prefetch_bytes, &barrier, 0};
    if (pthread_create(&ids[i], NULL, work, &shares[i]) != 0) exit(1);
  }
  pthread_barrier_wait(&barrier);
  const double start = now();
  pthread_barrier_wait(&barrier);
  const double seconds = now() - start;
  for (int i = 0; i < threads; ++i) pthread_join(ids[i], NULL);
  pthread_barrier_destroy(&barrier);
  return seconds;
}

int main(int argc, char** argv) {
  const int threads = argc > 1 ? atoi(argv[1]) : 1;
  const size_t bytes = (size_t)(argc > 2 ? atoi(argv[2]) : 2048) << 20;
  const int repeats = argc > 3 ? atoi(argv[3]) : 5;
  if (threads < 1 || threads > kMaxThreads || bytes == 0 || repeats < 1) {
    fprintf(stderr, "usage: read_bandwidth [THREADS 1..%d] [MEGABYTES] [REPEATS]\n", kMaxThreads);
    return 2;
  }
  uint64_t* words = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (words == MAP_FAILED) {
    perror("read_bandwidth: mmap");
    return 1;
  }
  madvise(words, bytes, MADV_HUGEPAGE);
  memset(words, 1, bytes);
  static const size_t kDistances[] = {0, 1024, 2048, 4096, 8192};
  double best = 0;
  size_t best_distance = 0;
  for (size_t d = 0; d < sizeof kDistances / sizeof *kDistances; ++d) {
    for (int i = 0; i < repeats; ++i) {
      const double rate = (double)bytes / pass_seconds(words, bytes / 8, threads, kDistances[d]) / 1e9;
      if (rate > best) best = rate, best_distance = kDistances[d];
    }
  }
  printf("{\"threads\":%d,\"megabytes\":%zu,\"gigabytes_per_second\":%.2f,\"prefetch_bytes\":%zu}\n", threads, bytes >> 20,
         best, best_distance);
  return 0;
}
