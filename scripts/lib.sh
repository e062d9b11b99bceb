# Shared by the scripts beside it; sourced, never run.
# shellcheck shell=bash
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
llama=$root/third_party/llama.cpp
# shellcheck source=../third_party/llama.cpp/PIN
. "$llama/PIN"

say() { printf '==> %s\n' "$*" >&2; }

# die WHAT HINT: one line that says what is wrong, one that says what to do.
die() {
	printf 'error: %s\n' "$1" >&2
	[ $# -lt 2 ] || printf 'hint: %s\n' "$2" >&2
	exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# hash_of reads stdin. git is the one hashing program that every machine here has.
hash_of() { git hash-object --stdin; }

jobs_of_machine() { getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2; }

# within SECONDS COMMAND...: run it, end it when it takes longer (macOS has no timeout(1)).
within() {
	local limit=$1 pid watch rc=0
	shift
	"$@" &
	pid=$!
	(
		trap 'kill "$nap" 2>/dev/null; exit' TERM
		sleep "$limit" &
		nap=$!
		wait "$nap"
		kill "$pid" 2>/dev/null
	) >/dev/null 2>&1 &
	watch=$!
	wait "$pid" || rc=$?
	kill "$watch" 2>/dev/null || true
	wait "$watch" 2>/dev/null || true
	return "$rc"
}

# install_packages WHY APT-NAMES BREW-NAMES: with the machine's package manager, or say what to install by hand.
install_packages() {
	local why=$1 apt=$2 brew=$3 as_root=()
	if have apt-get; then
		if [ "$(id -u)" -ne 0 ]; then
			have sudo || die "$why, and installing it needs root" "as root: apt-get install $apt"
			as_root=(sudo)
		fi
		say "$why: installing $apt with apt-get"
		as_root+=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o "Dpkg::Use-Pty=0")
		"${as_root[@]}" update >&2 || true # a stale list may still do; install says so where it does not
		# shellcheck disable=SC2086 # a list of names
		"${as_root[@]}" install -y --no-install-recommends $apt >&2 ||
			die "apt-get could not install $apt" "install it by hand and run the command again"
	elif have brew; then
		say "$why: installing $brew with brew"
		# shellcheck disable=SC2086 # a list of names
		brew install --quiet $brew >&2 || die "brew could not install $brew" "install it by hand and run the command again"
	else
		die "$why, and there is neither apt-get nor brew here" "install $brew with this system's package manager and run the command again"
	fi
}

# take_lock DIR: one set-up at a time in one tree; a lock whose process is gone is taken over.
take_lock() {
	local dir=$1 owner waited=0
	until mkdir "$dir" 2>/dev/null; do
		owner=$(cat "$dir/pid" 2>/dev/null || true)
		if { [ -n "$owner" ] && ! kill -0 "$owner" 2>/dev/null; } || { [ -z "$owner" ] && [ "$waited" -ge 5 ]; }; then
			rm -rf "$dir"
			continue
		fi
		[ "$waited" -ne 1 ] || say "waiting for another set-up to finish (process ${owner:-unknown})"
		waited=$((waited + 1))
		sleep 1
	done
	echo $$ >"$dir/pid"
}
