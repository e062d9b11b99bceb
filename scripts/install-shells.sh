#!/usr/bin/env bash
# Makes sure that the shells are there which read the completions, and the programs which read the manual page (internal/cli).
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

missing() {
	local name
	for name in zsh fish man mandoc groff; do
		have "$name" || return 0
	done
	return 1
}

if missing; then
	install_packages "not all shells and readers of manual pages are here" "zsh fish man-db mandoc groff" "zsh fish mandoc groff"
	missing && die "zsh, fish, man, mandoc and groff were installed, but not all are there" "install them by hand and run the command again"
fi
exit 0
