#!/usr/bin/env bash
# Put promtool, which checks docs/ops/alerts.yml, into .venv/bin: out of Debian's package "prometheus", of which nothing
# else is installed, so that no server of that name starts. Exits with 1, and says so, where that is not possible.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

target="$PWD/.venv/bin/promtool"
if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
    echo "Missing: promtool. It comes with Prometheus (on Debian: the package prometheus)." >&2
    exit 1
fi
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
# Only root may fetch the list of packages, and on a fresh machine there is none.
[[ "$(id -u)" != 0 ]] || apt-get update -qq >/dev/null 2>&1 || true
echo "Fetching promtool out of the Debian package prometheus"
if ! apt-get download -qq prometheus >log 2>&1 </dev/null; then
    tail -n 5 log >&2
    exit 1
fi
dpkg-deb --extract prometheus_*.deb package
install -m 755 package/usr/bin/promtool "$target"
