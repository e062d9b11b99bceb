#!/usr/bin/env bash
# Builds a real Ollama server into third_party/ollama/bin/ollama, for `make test-ollama`. The program itself does not need it.
# Ollama's Go module lacks three header-only libraries that its git tree carries: nlohmann/json and stb come from the
# system's packages, miniaudio.h from the Go module of malgo. JOBS limits the processes. A second run does nothing.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

ollama=$root/third_party/ollama
# shellcheck source=../third_party/ollama/PIN
. "$ollama/PIN"

headers=$ollama/include
key=$({
	printf '%s\n' "$root"
	cat "$ollama/PIN" "$root/scripts/build-ollama.sh"
} | hash_of)

# has_header NAME: can the C++ compiler include it?
has_header() { printf '#include <%s>\n' "$1" | ${CXX:-$(go env CXX)} ${CPPFLAGS:-} -x c++ -fsyntax-only - 2>/dev/null; }

# brew keeps its headers where only some compilers look.
if have brew; then CPPFLAGS="-I$(brew --prefix)/include"; fi

system_headers() {
	local packages=() names=()
	has_header nlohmann/json.hpp || { packages+=(nlohmann-json3-dev) names+=(nlohmann-json); }
	has_header stb/stb_image.h || { packages+=(libstb-dev) names+=(stb); }
	[ ${#packages[@]} -eq 0 ] || install_packages "headers for Ollama missing" "${packages[*]}" "${names[*]}"
}

miniaudio() {
	local dir
	dir=$(cd "$(mktemp -d)" && go mod download -json "github.com/gen2brain/malgo@$MALGO_VERSION" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
	[ -f "$dir/miniaudio.h" ] || die "the Go module github.com/gen2brain/malgo $MALGO_VERSION has no miniaudio.h" "set another MALGO_VERSION in third_party/ollama/PIN"
	mkdir -p "$headers/miniaudio"
	ln -sf "$dir/miniaudio.h" "$headers/miniaudio/miniaudio.h"
}

have go || die "Go is missing" "install Go 1.26 or later"
take_lock "$ollama/.lock"
trap 'rm -rf "$ollama/.lock"' EXIT
trap 'exit 130' INT TERM
if [ "$(cat "$ollama/bin/done" 2>/dev/null || true)" = "$key" ] && [ -x "$ollama/bin/ollama" ]; then exit 0; fi
system_headers
miniaudio
say "building Ollama $OLLAMA_VERSION (some minutes)"
rm -f "$ollama/bin/done"
# In another folder: this module's go.mod has no say in how Ollama is built.
(
	cd "$ollama"
	export CGO_CPPFLAGS="-I$headers ${CPPFLAGS:-}" GOBIN="$ollama/bin" GOFLAGS="-p=${JOBS:-$(jobs_of_machine)}"
	# Without the flag it would say that it is version 0.0.0.
	go install -ldflags "-X=github.com/ollama/ollama/version.Version=${OLLAMA_VERSION#v}" "github.com/ollama/ollama@$OLLAMA_VERSION"
) || die "Ollama $OLLAMA_VERSION does not build here" "make test-ollama needs it, nothing else does"
echo "$key" >"$ollama/bin/done"
say "Ollama is in third_party/ollama/bin/ollama"
