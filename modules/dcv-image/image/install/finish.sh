#!/bin/bash
# What follows the module's own files: the AWS CLI's name, byte code, links, accounts.
set -euo pipefail

# Its index version is started by the image's own Python; the archive's has installed its program itself.
if [[ ! -e /usr/local/bin/aws ]]; then
    install -m 0755 /run/install/aws /usr/local/bin/aws
fi
# Byte code that is checked by hash, for the sources' times are the same in every image.
dcv-python -m compileall -q --invalidation-mode unchecked-hash /opt/dcv_server
# The certificate is made or copied at the start, into a folder that is writable then. The secret with one
# is mounted on `tls`.
mkdir -p /etc/dcv/tls
ln -sf /run/dcv-image/tls/dcv.pem /etc/dcv/dcv.pem
ln -sf /run/dcv-image/tls/dcv.key /etc/dcv/dcv.key
bash /usr/share/dcv-image/accounts.sh
rm -rf /tmp/* /var/tmp/* /etc/*-
