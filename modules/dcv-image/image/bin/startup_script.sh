#!/bin/bash
# Starts the DCV server and the virtual session, and stays as long as they do.
set -euo pipefail
exec /usr/local/bin/dcv-image run
