#!/usr/bin/env bash
# Compile the three requirements files from pyproject.toml, with every transitive dependency pinned and hashed.
# Usage: scripts/lock.sh [--upgrade]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The output must not depend on this machine: no index, no folder and no command line of ours stands in it.
export CUSTOM_COMPILE_COMMAND="make lock"
options=(
    --quiet --generate-hashes --strip-extras --allow-unsafe --newline=lf
    --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options
)
compile() { .venv/bin/python -m piptools compile "${options[@]}" "$@" pyproject.toml; }

compile "$@" --output-file=requirements.txt
# The developer's versions of the runtime packages are the ones that run in production.
compile "$@" --extra=dev --constraint=requirements.txt --output-file=requirements-dev.txt
# And so are those of the packages that both have.
compile "$@" --extra=mutation --constraint=requirements-dev.txt --output-file=requirements-mutation.txt
