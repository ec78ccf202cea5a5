#!/usr/bin/env bash
# All tests under coverage, the processes that they start included. Prints one line on coverage after pytest's
# closing line; "make coverage" lists the lines that were not reached.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bin=.venv/bin

"$bin/coverage" erase
"$bin/coverage" run -m pytest --numprocesses=3 --dist=loadscope --durations=25
"$bin/coverage" combine --quiet
total="$("$bin/coverage" report --format=total --fail-under=0)"
if ! "$bin/coverage" report --format=total >/dev/null; then
    "$bin/coverage" report || true
    echo "Coverage is $total %: less than fail_under in pyproject.toml." >&2
    exit 1
fi
echo "Coverage is $total % (make coverage lists what is missing)."
