#!/bin/bash
# Makes the virtual environment with kaudit and its development tools; does nothing when it is up to date.
#
#     tools/setup.sh VENV
#
# As root it installs the Debian packages that are missing; otherwise it says which ones.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${1:-.venv}
here=$PWD
# shellcheck source=tools/packages.sh
. tools/packages.sh

fail() {
    echo "setup: $*" >&2
    exit 1
}

# Whether a Python is new enough.
is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    local candidate
    for candidate in "${KAUDIT_PYTHON:-python3}" python3.14 python3.13 python3.12 python3.11; do
        if is_new_enough "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    fail "kaudit needs Python 3.11 or newer; here python3 is $(python3 --version 2>&1 || true)"
}

need_compiler() {
    local missing=()
    echo 'int main() { return 0; }' | "${CXX:-c++}" -x c++ -fsyntax-only - 2>/dev/null || missing+=(g++)
    "$python" -c 'import os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")' 2>/dev/null ||
        missing+=(python3-dev)
    if [ ${#missing[@]} -gt 0 ]; then
        need_packages "no C++ compiler or no Python headers for the extension" "${missing[@]}" ||
            echo "setup: going on without the extension" >&2
    fi
}

# What the environment was made for, and everything that decides what is installed into it.
fingerprint() {
    echo "$here $("$python" -VV)" | sha256sum
    {
        echo "${KAUDIT_NO_EXTENSION:-} ${KAUDIT_DEBUG_BUILD:-}"
        cat pyproject.toml setup.py kaudit_core/matcher/*.{pyx,pxd,hpp}
    } | sha256sum
}

python=$(find_python)

# Several makes may start at once; one of them sets up.
exec 9>"$venv.lock"
flock 9

stamp=$venv/.kaudit
wanted=$(fingerprint)
works=false
"$venv/bin/python" -c '' 2>/dev/null && works=true
if $works && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
    exit 0
fi

"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    need_packages "Python's venv module is missing" python3-venv || exit 1
need_compiler
echo "setup: installing kaudit and its development tools into $venv" >&2
if ! $works || [ "$(head -n 1 "$stamp" 2>/dev/null)" != "$(head -n 1 <<<"$wanted")" ]; then
    "$python" -m venv --clear "$venv"
fi
# A module of another ABI would be found before the new one.
rm -f "$stamp" kaudit_core/matcher/_native.*.so
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable '.[dev]' >&2
echo "$wanted" >"$stamp"
