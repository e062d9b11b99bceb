// The loaded model and the process-wide log, shared by the files of the shim. Not seen by Go.
#pragma once

#include "llama.h"

#include <string>

struct bp_model {
    llama_model * model = nullptr;
    ~bp_model();
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

} // namespace bp
