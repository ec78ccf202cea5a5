#!/usr/bin/env bash
# Make sure of PostgreSQL, Chromium and promtool for the tests that need them. Without the means to install them those tests
# are skipped; with REQUIRE_ALL=1 (as in CI) that is a failure instead.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The tests' own search decides what is missing; it prints one Debian package a line.
missing="$(.venv/bin/python -m tests.support.system)"
for package in $missing; do
    packages=("$package")
    # Without any font a page has no text.
    [[ "$package" != chromium ]] || packages+=(fonts-dejavu-core)
    install=(scripts/apt-install.sh "${packages[@]}")
    # Of this one a single program is needed.
    [[ "$package" != prometheus ]] || install=(scripts/install-promtool.sh)
    if ! "${install[@]}"; then
        [[ "${REQUIRE_ALL:-}" != 1 ]] || exit 1
        echo "The tests that need $package will be skipped." >&2
    fi
done
