#!/usr/bin/env bash
# Print the path of a Python that is new enough; exits with 1, and says what was found, when there is none.
set -euo pipefail

probe='import sys; print(sys.executable if sys.version_info >= (3, 11) else "", "%d.%d.%d" % sys.version_info[:3])'
found=""

# Each name is tried here and in /: a version manager may refuse here because the version that .python-version
# asks for (the one we deploy on) is not installed, and any version from 3.11 on will do for development.
for name in "${PYTHON:-python3}" python3.13 python3.12 python3.11; do
    for place in . /; do
        if answer="$(cd "$place" && "$name" -c "$probe" 2>/dev/null)"; then
            path="${answer% *}"
            if [[ -n "$path" ]]; then
                echo "$path"
                exit 0
            fi
            found="$name is ${answer##* }"
        fi
    done
done

echo "Python 3.11 or newer is needed, but ${found:-there is no python3}. Install one, or name it: make <target> PYTHON=/path/to/python3" >&2
exit 1
