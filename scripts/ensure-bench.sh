#!/usr/bin/env bash
# Make sure of what "make bench" needs beside Python: PostgreSQL and wrk. Where they cannot be installed, what needs
# them is measured without them or not at all, and the table says so.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

packages="$(.venv/bin/python -m tests.support.system | grep -v '^chromium$' || true)"
command -v wrk >/dev/null || packages+=" wrk"
for package in $packages; do
    scripts/apt-install.sh "$package" || echo "What needs $package will not be measured." >&2
done
if ! command -v npm >/dev/null; then
    echo "Node and npm are not there: the card on Express will not be measured." >&2
fi
