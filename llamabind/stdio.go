package llamabind

/*
#include "shim.h"
*/
import "C"

// StdoutClosed reports whether the process was started with a closed standard output, which os.Stdout does not tell.
func StdoutClosed() bool { return bool(C.bp_stdout_closed()) }
