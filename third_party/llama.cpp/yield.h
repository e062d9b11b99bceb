// Included before everything else in the C files of the build that ThreadSanitizer watches (scripts/test-tsan.sh). Without OpenMP, ggml's
// threads wait for each other in loops of _mm_pause. On a busy machine each wait takes as long as the scheduler lets it; let others run.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>

int sched_yield(void);
#define _mm_pause() ((void) sched_yield())
#endif
