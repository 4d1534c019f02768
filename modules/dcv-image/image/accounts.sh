#!/bin/bash
# Moves the account files into one folder and leaves links in /etc, so that a container with a read-only root
# needs a writable volume at that folder only. An image that adds accounts on top runs this again as its last
# step: /usr/share/dcv-image/accounts.sh
set -euo pipefail

readonly FOLDER=/var/lib/dcv-image/accounts TEMPLATE=/usr/share/dcv-image/accounts

install -d -m 0755 "$FOLDER"
install -d -m 0700 "$TEMPLATE"
for file in passwd group shadow; do
    # Some tools replace the link by a file of their own.
    if [[ ! -L /etc/$file ]]; then
        mv "/etc/$file" "$FOLDER/$file"
        ln -s "$FOLDER/$file" "/etc/$file"
    fi
    cp -p "$FOLDER/$file" "$TEMPLATE/$file"
done
