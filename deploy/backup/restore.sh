#!/bin/bash
# Put a backup back into an empty folder.
#
#   deploy/backup/restore.sh data-20260301T020000Z.tar keys-20260301T020000Z.tar /srv/intraward/site
#
# It overwrites nothing. A site's ledger that is older than what the site has spent is refused afterwards, by the
# ward itself: look for the newest ledger.jsonl first (deploy/BACKUP.md).
set -euo pipefail
umask 077

DATA=${1:-} KEYS=${2:-} HOME_FOLDER=${3:-}

fail() { echo "restore.sh: $*" >&2; exit 1; }

if [ -z "$DATA" ] || [ -z "$KEYS" ] || [ -z "$HOME_FOLDER" ]; then
    echo "usage: restore.sh DATA.tar KEYS.tar FOLDER" >&2
    exit 2
fi
for archive in "$DATA" "$KEYS"; do
    if [ ! -f "$archive" ] || [ ! -f "$archive.sha256" ]; then
        fail "$archive and $archive.sha256 must both be there."
    fi
    (cd "$(dirname "$archive")" && sha256sum --check --status "$(basename "$archive").sha256") ||
        fail "$archive is not what was written: its digest differs. Take another copy."
done
stamp() { basename "$1" .tar | cut -d- -f2; }
[ "$(stamp "$DATA")" = "$(stamp "$KEYS")" ] ||
    fail "the two archives are of different times. Keys are rotated by every forget: take those of the same backup."
mkdir -p "$HOME_FOLDER"
[ -z "$(find "$HOME_FOLDER" ! -type d -print -quit)" ] ||
    fail "$HOME_FOLDER holds files. Move them away first; its ledger.jsonl may be newer than the backup's: keep it."

for archive in "$DATA" "$KEYS"; do
    tar --extract --file "$archive" --directory "$HOME_FOLDER" --same-permissions --no-same-owner --no-overwrite-dir
done
if [ "$(id -u)" = 0 ]; then
    chown --recursive --no-dereference "$(stat -c %u "$HOME_FOLDER")" "$HOME_FOLDER"
fi
echo "restored into $HOME_FOLDER"
if [ -f "$HOME_FOLDER/ledger.jsonl" ]; then
    echo "next: put a newer ledger.jsonl in place if there is one, then: intraward-client doctor --home $HOME_FOLDER"
else
    echo "next: intraward-server status --home $HOME_FOLDER"
fi
