// The loaded model and the process-wide log, shared by the files of the shim. Not seen by Go.
#pragma once

#include "llama.h"

#include <string>

struct bp_model {
    llama_model * model = nullptr;
    ~bp_model();
};

namespace bp {

// The last error line that llama.cpp logged, which says more than its return codes; else fallback.
std::string last_log(const char * fallback);
void        clear_last_log();

} // namespace bp
