#!/usr/bin/env bash
# Make an empty virtual environment. Usage: scripts/make-venv.sh FOLDER
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python="$(scripts/find-python.sh)"
# Debian packs the module that puts pip into a new environment apart from Python.
if ! "$python" -c 'import ensurepip' 2>/dev/null; then
    version="$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
    scripts/apt-install.sh "python$version-venv"
fi
echo "Making $1 with $("$python" --version)"
"$python" -m venv --clear "$1"
