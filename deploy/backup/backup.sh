#!/bin/bash
# A copy of a site's or a coordinator's folder: two archives, because keys and data never lie together.
#
#   deploy/backup/backup.sh /srv/intraward/site /mnt/backup/data /mnt/safe/keys
#
# Run it as root or as the folder's user, with every process of the folder stopped. deploy/BACKUP.md says what is
# in which archive, and what a restore cannot bring back.
set -euo pipefail
umask 077

HOME_FOLDER=${1:-} DATA=${2:-} KEYS=${3:-}

fail() { echo "backup.sh: $*" >&2; exit 1; }

if [ -z "$HOME_FOLDER" ] || [ -z "$DATA" ] || [ -z "$KEYS" ]; then
    echo "usage: backup.sh FOLDER FOLDER-FOR-DATA FOLDER-FOR-KEYS" >&2
    exit 2
fi
if [ -f "$HOME_FOLDER/ledger.jsonl" ]; then
    SECRET=(keys)
    # The socket; figures that no mechanism covers; what the next start makes anew.
    LEFT_OUT=(run curves)
    HELD=(ledger.jsonl vault.db)
    STOP="intraward-ward, and any import or review"
elif [ -f "$HOME_FOLDER/keys/coordinator.key" ]; then
    SECRET=(keys tls)
    LEFT_OUT=(flwr/superexec.secret)
    HELD=(flwr/state.db)
    STOP="intraward-coordinator and intraward-superlink"
else
    fail "$HOME_FOLDER is neither a site's folder nor a coordinator's. Name the folder given to --home."
fi
for folder in "$DATA" "$KEYS"; do
    [ -d "$folder" ] || fail "$folder is no folder. Mount its volume or make it."
done
if [ "$(stat -c %d "$DATA")" = "$(stat -c %d "$KEYS")" ]; then
    echo "backup.sh: warning: $DATA and $KEYS lie on one volume. Whoever takes it reads the vault." >&2
fi

# Whether any process has a file open, in whatever container: the same inode, not the same name.
for file in "${HELD[@]}"; do
    [ -e "$HOME_FOLDER/$file" ] || continue
    for open in /proc/[0-9]*/fd/*; do
        if [ "$open" -ef "$HOME_FOLDER/$file" ]; then
            fail "$file is open in process $(echo "$open" | cut -d/ -f3). Stop $STOP first."
        fi
    done
done

NAME=$(date -u +%Y%m%dT%H%M%SZ)
without=()
for part in "${SECRET[@]}" "${LEFT_OUT[@]}"; do without+=(--exclude="./$part"); done
secrets=()
for part in "${SECRET[@]}"; do secrets+=("./$part"); done

write() { # archive, arguments of tar
    local archive=$1
    shift
    tar --create --file "$archive.part" --directory "$HOME_FOLDER" --numeric-owner --sort=name "$@"
    (cd "$(dirname "$archive")" && sha256sum <"$archive.part" | sed "s|-$|$(basename "$archive")|" >"$archive.sha256")
    sync "$archive.part" "$archive.sha256"
    mv "$archive.part" "$archive"
}
write "$DATA/data-$NAME.tar" "${without[@]}" .
write "$KEYS/keys-$NAME.tar" --dereference "${secrets[@]}" # keys/ may be a link to its own volume
echo "data $DATA/data-$NAME.tar"
echo "keys $KEYS/keys-$NAME.tar (opens the data: keep it somewhere else)"
