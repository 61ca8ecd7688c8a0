#!/bin/bash
# Installs what the tests build the compiled matcher with, beside g++: clang, and another processor with its emulator.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/packages.sh
. tools/packages.sh

missing=()
command -v clang++ >/dev/null || missing+=(clang)
command -v aarch64-linux-gnu-g++ >/dev/null || missing+=(g++-aarch64-linux-gnu)
command -v qemu-aarch64 >/dev/null || missing+=(qemu-user)
if [ ${#missing[@]} -gt 0 ]; then
    need_packages "compilers for the tests are missing" "${missing[@]}" ||
        echo "compilers.sh: going on without; the tests will name what they miss" >&2
fi
