#!/bin/bash
# Runs inside the session as its owner; the session lasts as long as this does.
# An image built on this one puts its desktop's start command into /etc/dcv/desktop (executable).
set -euo pipefail
if [[ -x /etc/dcv/desktop ]]; then
    exec /etc/dcv/desktop
fi
# Without a desktop the display is there for applications of other containers.
exec sleep infinity
