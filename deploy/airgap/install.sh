#!/bin/sh
# Install the wheels beside this file into a new virtual environment. Nothing is asked of any network.
#
#   sh install.sh DIGEST /opt/intraward
#
# DIGEST is what build.sh printed, told to you by another way than the medium. The lock file is held against
# it, and pip holds every wheel against the lock file.
set -eu

DIGEST=${1:-}
PREFIX=${2:-}
PYTHON=${PYTHON:-python3}
HERE=$(cd "$(dirname "$0")" && pwd)

fail() { echo "install.sh: $*" >&2; exit 1; }

if [ -z "$DIGEST" ] || [ -z "$PREFIX" ]; then
    echo "usage: install.sh DIGEST FOLDER" >&2
    exit 2
fi
[ -f "$HERE/requirements.lock" ] || fail "requirements.lock is not beside this file. Copy the whole folder."
echo "$DIGEST  $HERE/requirements.lock" | sha256sum --check --status 2>/dev/null ||
    fail "requirements.lock does not have that digest. Do not install: ask again, and copy the medium again."
[ ! -e "$PREFIX" ] || fail "$PREFIX is there already. Name a new folder; deploy/UPGRADE.md says how to change over."
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$PYTHON is missing or older than 3.11. Name one: PYTHON=/path/to/python3.11 install.sh ..."

"$PYTHON" -m venv "$PREFIX"
if ! env -u PIP_FIND_LINKS "$PREFIX/bin/pip" --isolated --disable-pip-version-check install --quiet --no-index \
    --find-links "$HERE" --no-deps --require-hashes --only-binary :all: --requirement "$HERE/requirements.lock"; then
    rm -rf "$PREFIX"
    fail "a wheel is missing or is not the one in the lock (above). $PREFIX was removed again."
fi
"$PREFIX/bin/pip" --isolated check --quiet || fail "the wheels do not fit together (above)."
echo "installed in $PREFIX: $(find "$PREFIX/bin" -name 'intraward-*' -exec basename {} \; | sort | tr '\n' ' ')"
case "$("$PREFIX/bin/python" -c 'import os, sys; print(os.path.realpath(sys.executable))')" in
    /root/* | /home/*) echo "install.sh: note: this Python lies in a home folder, which the systemd units hide. Name another for a service." >&2 ;;
esac
