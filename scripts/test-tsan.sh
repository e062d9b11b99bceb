#!/usr/bin/env bash
# Runs the shim's tests of several threads, and those that interrupt a search, a fit or a quantiser, under ThreadSanitizer: test-tsan.sh [FLAG OF GO TEST]...
# The C++ of llamabind and a llama.cpp of its own, in third_party/llama.cpp/build-tsan, are instrumented; Go is not, but tells
# ThreadSanitizer of its calls to C and back. GOTEST is the command that runs tests, JOBS limits the processes.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[ "$(uname)" = Linux ] || die "ThreadSanitizer watches cgo on Linux only" "use: make test-race, for the packages without cgo"
export LLAMA_BUILD=build-tsan
build=$llama/$LLAMA_BUILD
# OpenMP's library is not instrumented: its barriers would not be seen, and all that they order would be reported.
CFLAGS="-fsanitize=thread -include $llama/yield.h" CXXFLAGS=-fsanitize=thread \
	LLAMA_CMAKE_FLAGS="-DCMAKE_BUILD_TYPE=RelWithDebInfo -DGGML_OPENMP=OFF" bash "$root/scripts/build-llama.sh"

cd "$root"
printf '{"Replace": {"%s": "%s"}}\n' "$root/llamabind/link_generated.go" "$root/llamabind/_link_$LLAMA_BUILD.go" >"$build/overlay.json"
export CGO_CFLAGS="-O1 -g -fsanitize=thread" CGO_CXXFLAGS="-O1 -g -fsanitize=thread" CGO_LDFLAGS=-fsanitize=thread

# Programs that Go ends do not end with ThreadSanitizer's exit code, so the reports tell, in files. They come from the programs that the
# tests start, too.
reports=$(mktemp -d)
trap 'rm -rf "$reports"' EXIT
export TSAN_OPTIONS="log_path=$reports/race suppressions=$root/scripts/tsan.supp ${TSAN_OPTIONS:-}"

# ThreadSanitizer of gcc 13 and earlier does not start where addresses are random in more than 28 bits.
fixed=()
if setarch -R true 2>/dev/null; then fixed=(setarch -R); fi

failed=
# run PACKAGE FLAG...
run() {
	# shellcheck disable=SC2086 # a command and its arguments
	${fixed[@]+"${fixed[@]}"} ${GOTEST:-go test} -overlay "$build/overlay.json" ${flags[@]+"${flags[@]}"} "${@:2}" "$1" || failed=1
}
flags=("$@")
# Under ThreadSanitizer the others take many minutes, and have no threads that could meet but ggml's own.
run ./llamabind -run 'Cancel|SideBySide'
run ./internal/llamatest -run Cancelled
run ./internal/quantproc
run . -run '^TestInterrupt'

if [ -n "$(ls "$reports")" ]; then
	cat "$reports"/* >&2
	die "ThreadSanitizer reported $(cat "$reports"/* | grep -c '^WARNING: ThreadSanitizer') times" "the reports are above"
fi
[ -z "$failed" ] || die "tests failed under ThreadSanitizer; it reported no race"
