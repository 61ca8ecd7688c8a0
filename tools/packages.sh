# shellcheck shell=bash
# Installs Debian packages, or says what to install. The first argument is the reason.
need_packages() {
    local reason=$1
    shift
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "${0##*/}: $reason; install it with: apt-get install $*" >&2
        return 1
    fi
    echo "${0##*/}: $reason; installing $*" >&2
    local output
    if ! output=$({
        apt-get -q update &&
            DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends "$@"
    } 2>&1); then
        echo "$output" >&2
        return 1
    fi
}
