// Whether standard output was closed when the process began. Go cannot tell: before any of its code runs, its runtime opens
// /dev/null in place of a standard file that is closed, so that results are lost without an error. A constructor runs earlier.
#include "shim.h"

#include <fcntl.h>
#include <unistd.h>

namespace {

bool closed = false;

__attribute__((constructor)) void look() { closed = fcntl(STDOUT_FILENO, F_GETFD) == -1; }

} // namespace

bool bp_stdout_closed(void) { return closed; }
