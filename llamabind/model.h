// The loaded model and the process-wide log, shared by the files of the shim. Not seen by Go.
#pragma once

#include "own.h"

#include <string>

struct bp_model {
    llama_model_ptr model;
};

namespace bp {

// The first error line that llama.cpp logged in this call, which says more than its return codes; else fallback.
std::string first_log(const char * fallback);
void        clear_log();

// LogTap is told what llama.cpp logs on this thread while log_tap points to it. It may throw where llama.cpp's C++ code logs.
struct LogTap {
    virtual void line(const char * text) = 0;

protected:
    ~LogTap() = default;
};
extern thread_local LogTap * log_tap;

// Tapped sets log_tap while it lives.
struct Tapped {
    explicit Tapped(LogTap * tap) { log_tap = tap; }
    ~Tapped() { log_tap = nullptr; }
    Tapped(const Tapped &)             = delete;
    Tapped & operator=(const Tapped &) = delete;
};

} // namespace bp
