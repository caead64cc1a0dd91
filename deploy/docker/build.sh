#!/bin/sh
# Build one image from a folder of wheels.
#
#   deploy/docker/build.sh ward /media/usb/client docker.io/library/python@sha256:DIGEST
#
# Images: ward (wheels of role client), gateway (gateway), server (server). Nothing is fetched while it builds
# but the base image, which is named by digest and must hold Python 3.11, as the wheels do.
set -eu

IMAGE=${1:-}
WHEELS=${2:-}
PYTHON_IMAGE=${3:-}
ENGINE=${ENGINE:-docker}
HERE=$(cd "$(dirname "$0")" && pwd)

fail() { echo "build.sh: $*" >&2; exit 1; }
usage() { echo "usage: build.sh ward|gateway|server WHEELS BASE@sha256:DIGEST" >&2; exit 2; }

case "$IMAGE" in
    ward | gateway | server) ;;
    *) usage ;;
esac
[ -n "$WHEELS" ] || usage
case "$PYTHON_IMAGE" in
    *@sha256:????????????????????????????????????????????????????????????????) ;;
    *) fail "name the base image by digest: docker.io/library/python@sha256:... (64 digits), not by a tag that moves" ;;
esac
[ -f "$WHEELS/requirements.lock" ] || fail "$WHEELS holds no requirements.lock. Make it with deploy/airgap/build.sh."
DIGEST=$(sha256sum "$WHEELS/requirements.lock" | cut -d' ' -f1)
echo "digest of requirements.lock: $DIGEST (compare it with what airgap/build.sh printed)"

exec "$ENGINE" build --network none --target "$IMAGE" --tag "intraward-$IMAGE:$(echo "$DIGEST" | cut -c1-12)" \
    --build-arg "PYTHON_IMAGE=$PYTHON_IMAGE" --build-arg "DIGEST=$DIGEST" \
    --label "org.opencontainers.image.base.name=$PYTHON_IMAGE" --label "org.intraward.lock=$DIGEST" \
    --file "$HERE/Dockerfile" "$WHEELS"
