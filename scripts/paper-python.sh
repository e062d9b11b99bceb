#!/usr/bin/env bash
# Makes the virtual environment in which `make bench-paper` runs scripts/paper_reference.py, unless it is there. Nothing else needs Python.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

venv=$root/third_party/paper/venv
wanted=$root/scripts/paper_requirements.txt
# PyTorch's own index has wheels without CUDA, which take a tenth of the space.
cpu=https://download.pytorch.org/whl/cpu

# It is there if it was finished with the same packages.
cmp -s "$wanted" "$venv/installed.txt" && exit 0

have python3 || die "there is no python3, which bench-paper runs the paper's algorithm in" "install Python 3.11 or later and run the command again"
say "a virtual environment with PyTorch and transformers, in $venv"
rm -rf "$venv"
python3 -m venv "$venv" >&2 || die "python3 could not make a virtual environment" "on Debian: apt-get install python3-venv"

pip=("$venv/bin/python" -m pip install --quiet --disable-pip-version-check)
if [ "$(uname -s)" = Linux ]; then
	torch=$(grep '^torch==' "$wanted")
	"${pip[@]}" --retries 0 --timeout 20 --index-url "$cpu" "$torch" >/dev/null 2>&1 ||
		say "$cpu has no $torch for this machine, or cannot be reached: taking PyPI's, with CUDA, of some GB"
fi
"${pip[@]}" -r "$wanted" >&2 || die "pip could not install what $wanted lists" "look at pip's message above"
cp "$wanted" "$venv/installed.txt"
