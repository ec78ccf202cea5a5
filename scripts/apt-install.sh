#!/usr/bin/env bash
# Install Debian packages, where that is possible: as root, with apt-get. Exits with 1, and says so, where it is not.
# Usage: scripts/apt-install.sh PACKAGE...
set -euo pipefail

if [[ "$(id -u)" != 0 ]] || ! command -v apt-get >/dev/null; then
    echo "Missing: $*. Install it with your package manager (on Debian: sudo apt-get install $*)." >&2
    exit 1
fi

echo "Installing the Debian packages: $*"
export DEBIAN_FRONTEND=noninteractive
log="$(mktemp)"
trap 'rm -f "$log"' EXIT
if ! { apt-get update -qq && apt-get install -qq --yes --no-install-recommends "$@"; } >"$log" 2>&1 </dev/null; then
    tail -n 20 "$log" >&2
    exit 1
fi
