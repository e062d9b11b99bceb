// The edge of the shim: the one place where what goes wrong in C++ becomes a status and a text. Not seen by Go.
#pragma once

#include "shim.h"

#include <stdexcept>
#include <string>
#include <utility>

namespace bp {

// Error is thrown inside the shim and turned into a bp_status at its edge.
struct Error : std::runtime_error {
    bp_status status;
    Error(bp_status s, const std::string & text) : std::runtime_error(text), status(s) {}
};

// Guard lets a failed ggml assertion on this thread become an Error instead of an abort. Assertions on ggml's own worker
// threads still abort: they are about arithmetic, never about user input.
struct Guard {
    Guard();
    ~Guard();
    Guard(const Guard &)             = delete;
    Guard & operator=(const Guard &) = delete;
};

// Unguarded suspends the Guards of this thread: a failed assertion is printed and aborts. It is for code that has threads of its own,
// which an exception on its way through would leave joinable: that ends the process too, but without a word.
struct Unguarded {
    Unguarded();
    ~Unguarded();
    Unguarded(const Unguarded &)             = delete;
    Unguarded & operator=(const Unguarded &) = delete;

  private:
    int depth;
};

// Writes the exception that is being handled to err and returns its status: an Error's own, BP_OOM for std::bad_alloc, otherwise
// for the rest, failed assertions among them. To be called in a catch block only. It allocates nothing.
bp_status report(bp_err * err, bp_status otherwise) noexcept;

// Runs the body of an entry point that has a status: BP_OK, or what report says of whatever leaves the body.
template <typename F> bp_status guarded(bp_err * err, bp_status otherwise, F && body) noexcept {
    Guard guard;
    err->text[0] = 0;
    try {
        body();
        return BP_OK;
    } catch (...) {
        return report(err, otherwise);
    }
}

template <typename F> bp_status guarded(bp_err * err, F && body) noexcept {
    return guarded(err, BP_INTERNAL, std::forward<F>(body));
}

// Runs the body of an entry point that answers with a value, which is otherwise when anything leaves the body.
template <typename T, typename F> T guarded_value(T otherwise, F && body) noexcept {
    Guard guard;
    try {
        return T(body());
    } catch (...) {
        return otherwise;
    }
}

} // namespace bp
