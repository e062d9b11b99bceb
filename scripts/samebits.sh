#!/usr/bin/env bash
# Shows that a change of the code left the outputs as they were, bit for bit.
#
#   samebits.sh PROGRAM DIR       runs a fixed list of commands in DIR, which must be new or empty, and prints
#                                 "sha256  name" for each output; the outputs stay in DIR/out (200 MB)
#   samebits.sh --compare A B     names the outputs that differ, and fails if any does. A and B are programs,
#                                 or lists that the first form printed
#
# Two programs on one machine are the real check. The last digits of a perplexity depend on the CPU's instruction set,
# on the compiler and on llama.cpp, so a saved list such as testdata/samebits.txt holds only for what its first lines name.
# The program's version is in the outputs: build both with -buildvcs=false, and from the same llama.cpp.
#
# Everything is hashed, what is meant for people, too: a reworded sentence in a report shows as a report that differs.
# One thread on the CPU takes three to four minutes for a program.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
export LC_ALL=C OMP_WAIT_POLICY=passive OLLAMA_MODELS=store

sha256() { if have sha256sum; then sha256sum "$@"; else shasum -a 256 "$@"; fi; }

# steady FILE...: puts fixed values in the place of the predicted speeds, which the clock has a say in. They grow from step
# to step, because a plan is read again: for files and reports.
steady() {
	local f
	for f; do
		awk '/"speedup": [0-9]/ { sub(/[0-9][0-9.e+-]*/, sprintf("%.2f", 1 + ++n / 64)) } { print }' "$f" >steady.tmp
		mv steady.tmp "$f"
	done
}

# untimed FILE...: takes out what says how fast a model was: rows of the comparison with its verdict, the curve of speeds, and
# factors with two decimals. Those of perplexity have three.
untimed() {
	local f
	for f; do
		sed -E -e '/"speed-title"/,/<\/svg>/d' -e '/"(prompt|generate)_(tps|ratio)|"load_s"|tokens\/s|in turns with|load time/d' \
			-e '/the original.*s speed/d' -e 's/(×|x)[0-9]+\.[0-9]{2}([^0-9])/\1T\2/g' "$f" >untimed.tmp
		mv untimed.tmp "$f"
	done
}

# gg NAME COMMAND ARGUMENT...: runs the program, and keeps the object that it prints as out/NAME.json.
gg() {
	local name=$1
	shift
	"$program" "$@" --json -q >"out/$name.json" 2>messages || die "$name: $(tail -n 1 messages)" "the command: $program $*"
	steady "out/$name.json"
}

cpu="-dev none -t 1"
text="-f talk.jsonl -c 64 $cpu"

# search NAME FLAG...: its plan is out/NAME.plan.
# shellcheck disable=SC2086 # lists of flags, here and below
search() {
	local name=$1
	shift
	gg "search-$name" search -m model.gguf $text --plan "out/$name.plan" "$@"
	steady "out/$name.plan"
}

# shellcheck disable=SC2086
searches() {
	search fast --strategy fast --blocks 3 --chunks 8
	search greedy --strategy greedy --blocks 2 --chunks 4
	search refine --strategy refine --confidence 0.8 --blocks 3 --chunks 6
	search aware --strategy aware --blocks 1 --chunks 4
	search oneshot --strategy oneshot --blocks 3 --chunks 4
	search bi --strategy bi --kind layer --blocks 2 --chunks 4
	search magnitude --strategy magnitude --kind ffn --blocks 2 --chunks 4
	search random --strategy random -s 7 --blocks 2 --chunks 4
	search layer --kind layer --ratio 0.06 --chunks 8
	search pair --kind pair --blocks 1 --chunks 4
	search kld --metric kld --kind attn --blocks 2 --chunks 4
	search quality --kind layer --max-ppl-ratio 1.05 --chunks 4
	search windows --convention windows --held-out 0 --target-size 11.3MiB --chunks 4
	gg search-self search -m model.gguf --calib self --chunks 4 -c 48 -s 7 $cpu --blocks 1 --plan out/self.plan
	steady out/self.plan
}

# Each layout, repairs, and the whole job.
# shellcheck disable=SC2086
files() {
	local mask="attn:3,ffn:5,attn:6" repair="--repair-tokens 4096"
	gg native prune -m model.gguf $text --repair off --no-compare --kind layer --strategy oneshot --blocks 2 --chunks 4 \
		--plan out/native.plan -o out/native.gguf
	gg deci apply -m model.gguf $text --repair off --mask $mask -o out/deci.gguf
	gg zeros apply -m model.gguf $text --repair off --mask $mask --layout zeros -o out/zeros.gguf
	gg full apply -m model.gguf $text --repair full $repair --mask $mask -o out/full.gguf
	gg map apply -m model.gguf $text --repair map $repair --mask ffn:8 --no-check -o out/map.gguf
	gg raised apply -m model.gguf $text --repair auto $repair --repair-type BF16 --mask $mask --no-check -o out/raised.gguf
	gg repair repair model.gguf out/deci.gguf $text $repair -o out/repair.gguf
	gg whole prune -m model.gguf $text $repair --blocks 4 --chunks 8 --compare-text held.txt --rival-quant auto \
		--plan out/whole.plan -o out/whole.gguf --report out/whole.html --markdown out/whole.md --charts out/whole
	steady out/native.plan out/whole.plan
	rm out/whole/curve-speed.*
	untimed out/whole.json out/whole.html out/whole.md out/whole/*.svg
	mkdir out/steps
	gg steps apply -m model.gguf $text --repair off --plan out/fast.plan --all -o out/steps
	gg modelfile apply -m ollama:tiny $text --repair off --mask attn:3 --no-check -o out/ollama.gguf
}

# shellcheck disable=SC2086
quantised() {
	local q="--imatrix importance.dat --imatrix-out"
	gg f16 quantize --allow-requantize model.gguf out/f16.gguf F16 -t 1
	gg q4 quantize out/f16.gguf out/q4.gguf Q4_K_M -t 1
	gg q2 quantize $q out/q2.imatrix out/f16.gguf out/q2.gguf Q2_K_S -t 1
	gg deci-q4 apply -m out/f16.gguf $text --chunks 2 --repair off --mask attn:1,ffn:3 $q out/deci.imatrix \
		--quantize Q4_K_M -o out/deci-q4.gguf
	gg zeros-q5 apply -m out/f16.gguf $text --chunks 2 --repair off --mask attn:1 --layout zeros $q out/zeros.imatrix \
		--quantize Q5_K_S -o out/zeros-q5.gguf
}

# What is measured and shown.
# shellcheck disable=SC2086
looks() {
	local few="-f held.txt -c 64 --chunks 4 $cpu" tasks="" t
	gg inspect inspect -m model.gguf
	gg inspect-mask inspect -m model.gguf --mask attn:3,ffn:7-9
	gg ppl ppl -m model.gguf $few
	gg ppl-mask ppl -m model.gguf $few --mask attn:3,ffn:7-9
	gg ppl-samples ppl -m model.gguf $text --convention samples --chunks 8
	gg ppl-deci ppl -m out/deci.gguf $few
	for t in piqa.jsonl arc-easy.jsonl arc-challenge.jsonl winogrande.jsonl hellaswag.jsonl hellaswag.txt winogrande.csv; do
		tasks="$tasks --task ${t%.*}=tasks/$t"
	done
	gg eval eval -m model.gguf $cpu --limit 4 $tasks
	gg eval-mask eval -m model.gguf $cpu --limit 4 --mask attn:3,ffn:7-9 --task mine=tasks/multiple-choice.bin $tasks
	gg compare compare model.gguf out/deci.gguf out/full.gguf $few --no-speed --rival-quant auto --save-base-logits out/base.kld
	gg compare-base compare --base-logits out/base.kld out/native.gguf $cpu --no-speed
	gg report report out/fast.plan -m model.gguf --pruned out/steps/*-2-blocks-removed.gguf -o out/report.html \
		--markdown out/report.md --charts out/report
	gg demo demo -m model.gguf -t 1 --blocks 1 -o out/demo.gguf
}

# importance prints an importance matrix of the model in llama-imatrix's old format. Columns and layers differ, so that it shows
# where one takes the place of another.
importance() {
	# float32: 1/4, 1, 2, 3, 8, 9, 64
	local floats=('\0\0\x80\x3e' '\0\0\x80\x3f' '\0\0\0\x40' '\0\0\x40\x40' '\0\0\0\x41' '\0\0\x10\x41' '\0\0\x80\x42')
	local layer name columns i bytes="\\x54\\0\\0\\0" # 84 entries
	for layer in 0 1 2 3 4 5 6 7 8 9 10 11; do
		for name in attn_k attn_output attn_q attn_v ffn_down ffn_gate ffn_up; do
			columns=256
			[ $name != ffn_down ] || columns=768
			name=blk.$layer.$name.weight
			bytes+=$(int32 ${#name})$name$(int32 1)$(int32 $columns)
			for ((i = 0; i < columns; i++)); do bytes+=${floats[(i + i / 7 * layer) % 7]}; done
			printf %b "$bytes"
			bytes=
		done
	done
}

int32() { printf '\\x%02x\\x%02x\\0\\0' $(($1 % 256)) $(($1 / 256)); }

# inputs lays out what the commands read, under names that are the same everywhere.
inputs() {
	local data=$root/testdata sha
	cp "$data/tiny-11m-Q8_0.gguf" model.gguf
	cp "$data/simple.jsonl" talk.jsonl
	cp "$root/internal/corpus/data/heldout.txt" held.txt
	cp -R "$data/tasks" tasks
	importance >importance.dat
	mkdir -p out store/blobs store/manifests/registry.ollama.ai/library/tiny
	sha=$(sha256 <model.gguf)
	cp model.gguf "store/blobs/sha256-${sha%% *}"
	printf '{"layers":[{"mediaType":"application/vnd.ollama.image.model","digest":"sha256:%s","size":%d}]}' \
		"${sha%% *}" "$(wc -c <model.gguf)" >store/manifests/registry.ollama.ai/library/tiny/latest
}

# place says what bits depend on besides the source.
place() {
	local flags
	flags=$(grep -m 1 '^flags' /proc/cpuinfo 2>/dev/null | grep -oE '\b(avx|amx|fma|f16c)[a-z0-9_]*' | sort | tr '\n' ' ' || true)
	"$program" version | sed -n '1s/^/# program: /p; 2s/^llama.cpp/# llama.cpp:/p'
	printf '# machine: %s, %s; %s\n' "$(uname -sm)" "$(${CXX:-c++} --version 2>/dev/null | head -n 1)" "${flags% }"
}

# list PROGRAM DIR
list() {
	if [ -d "$1" ] || [ ! -x "$1" ]; then
		die "$1 is no program" "build one: go build -buildvcs=false -o ggufprune ."
	fi
	[ -z "$(ls -A "$2" 2>/dev/null)" ] || die "$2 is not empty" "name a new folder"
	program=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
	mkdir -p "$2"
	cd "$2"
	place
	inputs
	say "searches with $program"
	searches
	say "files"
	files
	say "quantised files"
	quantised
	say "measurements and reports"
	looks
	cd out
	find . -type f | sed 's|^\./||' | sort | while read -r f; do sha256 "$f"; done
}

# listing PROGRAM-OR-LIST DIR
listing() {
	if [ -x "$1" ]; then (list "$1" "$2"); else grep -E '^(# |[0-9a-f]{64}  )' "$1" || die "$1 is no list of hashes"; fi
}

# differences OLD NEW: the names whose hashes differ, or that are in one list only.
differences() {
	awk '/^#/ { next }
		FNR == NR { old[$2] = $1; next }
		!($2 in old) { print "only in the second: " $2 }
		$2 in old && old[$2] != $1 { print "differs: " $2 }
		{ delete old[$2] }
		END { for (name in old) print "only in the first: " name }' "$1" "$2" | sort
}

compare() {
	local found
	tmp=$(mktemp -d)
	trap 'rm -rf "$tmp"' EXIT
	listing "$1" "$tmp/a" >"$tmp/a.txt"
	listing "$2" "$tmp/b" >"$tmp/b.txt"
	diff <(grep -E '^# (program|llama.cpp|machine):' "$tmp/a.txt") <(grep -E '^# (program|llama.cpp|machine):' "$tmp/b.txt") >&2 ||
		say "the two are of different places: outputs may differ without a change of the code"
	found=$(differences "$tmp/a.txt" "$tmp/b.txt")
	if [ -z "$found" ]; then
		say "all $(grep -vc '^#' "$tmp/a.txt") outputs are the same"
		return
	fi
	printf '%s\n' "$found"
	if [ -d "$tmp/a" ] && [ -d "$tmp/b" ]; then
		trap - EXIT
		die "outputs differ" "look at them: diff -r $tmp/a/out $tmp/b/out"
	fi
	die "outputs differ"
}

usage="scripts/samebits.sh PROGRAM DIR, or scripts/samebits.sh --compare A B"
case $#,${1:-} in
3,--compare) compare "$2" "$3" ;;
*,-*) die "unknown: $*" "$usage" ;;
2,*) list "$1" "$2" ;;
*) die "a program and a folder are needed" "$usage" ;;
esac
