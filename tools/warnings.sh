#!/bin/bash
# Compiles the extension with every warning an error: the headers on their own, then the whole module.
#
#     tools/warnings.sh PYTHON
set -euo pipefail
python=${1:-python3}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# -Wconversion only for the headers: the code that Cython generates is not ours.
for header in kaudit_core/matcher/*.hpp; do
    echo "#include \"$header\"" |
        "${CXX:-c++}" -std=c++17 -Wall -Wextra -Wconversion -Werror -fsyntax-only -I. -x c++ -
done

# The extension is optional, so a failed build is not a failed command: look at what was built.
CFLAGS=-Werror CXXFLAGS=-Werror "$python" setup.py --quiet build_ext --force \
    --build-lib "$scratch/lib" --build-temp "$scratch/temp" >"$scratch/output" 2>&1 || true
if ! compgen -G "$scratch/lib/kaudit_core/matcher/_native.*.so" >/dev/null; then
    cat "$scratch/output" >&2
    exit 1
fi
