#!/bin/bash
# Makes what a site without a network installs kaudit from: wheels, the collection's tarball, and their sums.
#
#     tools/bundle.sh PYTHON DIRECTORY [EXTRAS]
#
# The wheels fit this Python and this machine's platform: make the bundle on one like the controller.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$(command -v "$1")
[[ $python == /* ]] || python=$PWD/$python
directory=$2
extras=${3:-ansible,fast,receive}

if [ -e "$directory" ]; then
    echo "bundle: $directory is there already; remove it, or name another one with BUNDLE=" >&2
    exit 1
fi
mkdir -p "$(dirname "$directory")"
new=$(mktemp -d "$directory.XXXXXX")
trap 'rm -rf "$new"' EXIT

# What an earlier build left would get into the wheel, even where its source is gone.
rm -rf build/lib build/bdist.*
echo "bundle: wheels of kaudit[$extras] and all it requires" >&2
"$python" -m pip wheel --quiet --disable-pip-version-check --no-build-isolation --wheel-dir "$new/wheels" ".[$extras]"
echo "bundle: the collection" >&2
"$python" -m ansible galaxy collection build --output-path "$new" . >/dev/null
cat >"$new/INSTALL" <<'TEXT'
Where there is no network, in this directory:

    sha256sum --check SHA256SUMS
    python3 -m venv kaudit
    kaudit/bin/pip install --no-index --find-links wheels 'kaudit[ansible]'

That brings the playbooks too. With an ansible-core of your own, install kaudit without [ansible] into its Python, and:

    ansible-galaxy collection install --offline kaudit-k8s-*.tar.gz
TEXT
sums=$(cd "$new" && find . -type f -printf '%P\n' | LC_ALL=C sort | xargs -d '\n' sha256sum)
echo "$sums" >"$new/SHA256SUMS"
chmod 755 "$new"
mv -T "$new" "$directory"
trap - EXIT
echo "bundle: $directory: $(find "$directory/wheels" -name '*.whl' | wc -l) wheels, $(du -sh "$directory" | cut -f 1)" >&2
