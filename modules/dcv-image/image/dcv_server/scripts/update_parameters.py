#!/usr/local/bin/dcv-python -IBS
"""Publishes the session's display to the ConfigMap and to SSM, for as long as it runs."""

import os
import sys

sys.path.insert(0, "/opt")

from dcv_server.publication.publisher import publish

sys.exit(publish(os.environ))
