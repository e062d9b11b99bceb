#!/usr/bin/env bash
# Runs every fuzz target of the module, each for a while: fuzz.sh [TIME], by default 10s.
# go test's -fuzz takes one target of one package at a time.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

time=${1:-10s}
cd "$root"
targets=$(git grep -hE '^func Fuzz[A-Za-z0-9_]*\(' -- '*_test.go' | sed -E 's/^func (Fuzz[A-Za-z0-9_]*).*/\1/')
[ -n "$targets" ] || die "no fuzz target in the tree"
for target in $targets; do
	file=$(git grep -lE "^func $target\(" -- '*_test.go' | head -n 1)
	say "$target in $(dirname "$file") for $time"
	go test "./$(dirname "$file")" -run '^$' -fuzz "^$target\$" -fuzztime "$time"
done
