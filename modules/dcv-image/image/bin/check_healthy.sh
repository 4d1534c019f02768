#!/bin/bash
# Readiness and liveness probe: exit status 0 only when the DCV session is valid and its display answers.
set -euo pipefail
exec /usr/local/bin/dcv-image health "$@"
