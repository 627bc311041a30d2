#!/bin/sh
# Makes .venv with what requirements-dev.lock pins, by hash. Quick when it is there already.
set -eu
cd "$(dirname "$0")/../.."

lock=requirements-dev.lock
stamp=.venv/.installed
hash=$(sha256sum "$lock" 2>/dev/null || shasum -a 256 "$lock")
hash=${hash%% *}

if [ "$(cat "$stamp" 2>/dev/null)" = "$hash" ] && .venv/bin/python -c '' 2>/dev/null; then
    exit 0
fi

# 3.14 comes late: the embedded PostgreSQL has wheels for 3.11 to 3.13. Each is run, not only looked
# up: a version manager may put a name in PATH that fails to start.
python=
for candidate in python3.13 python3.12 python3.11 python3.14 python3; do
    if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
        >/dev/null 2>&1; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "Python 3.11 or later with its venv module is needed: none was found in PATH" >&2
    exit 1
fi

echo "setting up .venv with $("$python" --version) …"
rm -f "$stamp"
# One that was moved, or is too old, is made anew; else only what the lock changed is installed.
if ! .venv/bin/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
    "$python" -m venv --clear .venv
fi
.venv/bin/python -m pip --quiet --disable-pip-version-check install \
    --require-hashes --only-binary :all: --requirement "$lock"
echo "$hash" >"$stamp"
