#!/bin/sh
# Resolves pyproject.toml into requirements.lock and requirements-dev.lock: names, versions and
# hashes for every platform, and no address.
#   lock.sh            add what pyproject.toml asks for anew, move nothing else
#   lock.sh --upgrade  move every version to the newest that fits
#   lock.sh --check    fail if the committed files are not what pyproject.toml asks for
set -eu
cd "$(dirname "$0")/../.."

mode=${1:-}
into=.
upgrade=
case $mode in
'') ;;
--upgrade) upgrade=--upgrade ;;
--check)
    into=$(mktemp -d)
    trap 'rm -rf "$into"' EXIT
    # The committed versions are where the resolver starts from, so a release of today changes nothing.
    cp requirements.lock requirements-dev.lock pyproject.toml "$into"
    ;;
*)
    echo "usage: lock.sh [--upgrade|--check]" >&2
    exit 2
    ;;
esac

uv=$PWD/.venv/bin/uv
compile() {
    # The machine's certificates, as pip uses them: a proxy may have one of its own.
    (cd "$into" && "$uv" pip compile --system-certs --quiet --universal --generate-hashes --no-header \
        --no-emit-find-links --python-version 3.11 $upgrade "$@" >/dev/null)
}
compile pyproject.toml -o requirements.lock
compile --group dev -c requirements.lock pyproject.toml -o requirements-dev.lock

for lock in requirements.lock requirements-dev.lock; do
    if grep -q '://' "$into/$lock"; then
        echo "$lock names an address" >&2
        exit 1
    fi
    if [ "$mode" = --check ] && ! diff -u "$lock" "$into/$lock" >&2; then
        echo "$lock is not what pyproject.toml asks for: run make lock" >&2
        exit 1
    fi
done
