// The cancel flag: Go sets it from any goroutine, llama.cpp and the shim poll it. Not seen by Go, which has the handle alone.
#pragma once

#include "edge.h"

#include <atomic>

struct bp_cancel {
    std::atomic<bool> asked{false};
};

namespace bp {

inline bool cancelled(const bp_cancel * c) { return c->asked.load(std::memory_order_relaxed); }

inline void check_cancelled(const bp_cancel * c) {
    if (cancelled(c)) throw Error(BP_CANCELLED, "cancelled");
}

// What llama_decode returned, as an exception where it failed. A decode that ended in spite of a cancel counts as cancelled.
inline void check_decoded(int rc, const bp_cancel * c) {
    if (rc == 2 || cancelled(c)) throw Error(BP_CANCELLED, "cancelled");
    if (rc != 0) throw Error(rc == -2 ? BP_OOM : BP_DECODE, "llama_decode failed with code " + std::to_string(rc));
}

// A ggml_abort_callback; data is the bp_cancel.
inline bool poll_cancelled(void * data) { return cancelled(static_cast<const bp_cancel *>(data)); }

} // namespace bp
