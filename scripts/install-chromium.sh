#!/usr/bin/env bash
# Makes sure that there is a Chromium for the tests of the report's page (internal/reporttest): Debian's package where there is none.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# The same names as in internal/reporttest.
present() {
	local name
	for name in chromium chromium-browser google-chrome google-chrome-stable \
		"/Applications/Chromium.app/Contents/MacOS/Chromium" "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"; do
		have "$name" && return
	done
	return 1
}

present || {
	install_packages "there is no Chromium" "chromium fonts-dejavu-core" chromium
	present || die "the package chromium was installed, but there is no program of that name" "Ubuntu's package only points to a snap: install google-chrome-stable"
}
