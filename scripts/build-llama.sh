#!/usr/bin/env bash
# Builds llama.cpp into third_party/llama.cpp/build.
#   build-llama.sh          the libraries, and llamabind/link_generated.go which tells cgo how to link them
#   build-llama.sh peers    llama.cpp's own tools, which tests compare with, and its architecture fixtures
# LLAMA_BUILD=NAME builds into the folder NAME beside it, and writes llamabind/_link_NAME.go, which Go reads only through -overlay.
# LLAMA_CMAKE_FLAGS is passed to CMake ("-DGGML_CUDA=ON"); CC and CXX are those that Go uses. JOBS limits the processes.
# A second run with the same settings does nothing.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

build=$llama/${LLAMA_BUILD:-build}
link=$root/llamabind/${LLAMA_BUILD:+_}link_${LLAMA_BUILD:-generated}.go
CC=${CC:-$(go env CC)} CXX=${CXX:-$(go env CXX)}
export CC CXX
read -ra cmake_flags <<<"${LLAMA_CMAKE_FLAGS:-}"

settings() {
	printf '%s\n' "$root" "$CC" "$CXX" "${LLAMA_CMAKE_FLAGS:-}" "${CFLAGS:-}" "${CXXFLAGS:-}"
	cat "$llama"/{PIN,CMakeLists.txt,linkprobe.cpp,chatpeer.cpp,yield.h} "$root/scripts/build-llama.sh" "$root"/scripts/cgolink/*.go
}
key=$(settings | hash_of)

# done_before STAMP: was this built with the same settings?
done_before() { [ "$(cat "$build/$1" 2>/dev/null || true)" = "$key" ]; }

# quietly LOG COMMAND...: its output matters only when it fails.
quietly() {
	local log=$1
	shift
	"$@" >"$log" 2>&1 || {
		tail -n 40 "$log" >&2
		die "'$1' failed" "the whole output is in ${log#"$root"/}"
	}
}

# CMake keeps every -D it was ever given, so other settings begin from nothing; the compiled llama.cpp stays.
configure() {
	local packages=() names=()
	have cmake || { packages+=(cmake) names+=(cmake); }
	have ninja || { packages+=(ninja-build) names+=(ninja); }
	# gcc alone compiles no C++. Another compiler that was asked for is the user's to install.
	[ "$CXX" != g++ ] || have g++ || { packages+=(g++) names+=(gcc); }
	[ ${#packages[@]} -eq 0 ] || install_packages "${packages[*]} missing" "${packages[*]}" "${names[*]}"
	have "${CXX%% *}" || die "no C++ compiler: $CXX is not there" "install g++ or clang, or set CXX"
	rm -rf "$build/CMakeCache.txt" "$build/CMakeFiles" "$build"/{configure,libraries,peers}.done
	mkdir -p "$build/.cmake/api/v1/query"
	: >"$build/.cmake/api/v1/query/codemodel-v2" # asks CMake for the link line in JSON
	say "configuring llama.cpp $LLAMA_TAG${LLAMA_CMAKE_FLAGS:+ with $LLAMA_CMAKE_FLAGS}"
	quietly "$build/configure.log" cmake -S "$llama" -B "$build" -G Ninja ${cmake_flags[@]+"${cmake_flags[@]}"}
}

# compile TARGET...: shows the steps. The compilers' warnings about llama.cpp's code, thousands of lines, are nothing that the user could do
# something about; they are in the log, whose end is shown when it fails.
compile() {
	local log=$build/compile.log
	cmake --build "$build" --parallel "${JOBS:-$(jobs_of_machine)}" --target "$@" 2>&1 | tee "$log" | { grep --line-buffered '^\[' || true; } >&2 || {
		tail -n 40 "$log" >&2
		die "compiling llama.cpp failed" "the whole output is in ${log#"$root"/}"
	}
}

# The renamed calls are in our copy of llama-context.cpp and nowhere in stock libllama.
check_seam() {
	local name
	nm -u "$build/libllamahook.a" >"$build/hook.symbols" 2>/dev/null
	nm -u "$build/src/src/libllama.a" >"$build/llama.symbols" 2>/dev/null
	for name in bp_sched_alloc_graph bp_tensor_get_async; do
		grep -q "$name" "$build/hook.symbols" || die "libllamahook.a does not call $name" "llama.cpp has renamed the ggml call; see third_party/llama.cpp/README.md"
		! grep -q "$name" "$build/llama.symbols" || die "libllama.a calls $name: it is no longer the stock library"
	done
}

libraries() {
	done_before libraries.done && [ -f "$link" ] && return
	done_before configure.done || configure
	echo "$key" >"$build/configure.done"
	say "building llama.cpp's libraries"
	compile linkprobe
	check_seam
	(cd "$root" && go run ./scripts/cgolink -build "$build" -tag "$LLAMA_TAG" -tree "$LLAMA_TREE" -o "$link")
	echo "$key" >"$build/libraries.done"
	say "llama.cpp is built"
}

peers() {
	local archs=$build/archs
	done_before peers.done && return
	say "building llama.cpp's own tools, which the tests compare with"
	compile llama-perplexity llama-quantize llama-bench llama-completion test-llama-archs chatpeer
	say "writing llama.cpp's architecture fixtures"
	rm -rf "$archs" "$archs.tmp"
	mkdir "$archs.tmp"
	# The seed is fixed: by default every run writes other weights.
	quietly "$build/archs.log" "$build/bin/test-llama-archs" -s 1 -o "$archs.tmp"
	mv "$archs.tmp" "$archs"
	echo "$key" >"$build/peers.done"
	say "$(find "$archs" -name '*.gguf' | wc -l | tr -d ' ') fixtures are in third_party/llama.cpp/build/archs"
}

have go || die "Go is missing" "install Go 1.26 or later"
take_lock "$llama/.lock"
trap 'rm -rf "$llama/.lock"' EXIT
trap 'exit 130' INT TERM
bash "$root/scripts/fetch-llama.sh"
libraries
case ${1:-} in
"") ;;
peers) peers ;;
*) die "unknown argument: $1" "build-llama.sh [peers]" ;;
esac
