#!/bin/bash
# What the container runs: brings the session up, keeps it, closes it on SIGTERM.
set -euo pipefail
exec /usr/local/bin/startup_script.sh
