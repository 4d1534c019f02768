#!/bin/bash
# `install.sh system` installs Python, X and GL packages, `install.sh dcv` Amazon DCV and the AWS CLI, on every
# supported operating system; both record exactly what is installed then. Nothing unverified is installed.
set -euo pipefail

readonly HERE=/run/install DOWNLOADS=/run/downloads
# shellcheck source=modules/dcv-image/image/install/packages.sh
. "$HERE/packages.sh"
# shellcheck source=modules/dcv-image/image/install/signatures.sh
. "$HERE/signatures.sh"
# shellcheck source=modules/dcv-image/image/install/clean.sh
. "$HERE/clean.sh"

unpack_dcv() {
    tar -xzf "$DOWNLOADS/nice-dcv.tgz" --no-same-owner --strip-components=1 -C "$1"
}

# The packages of the archive that the image needs. `gl` is there for x86_64 only.
chosen_packages() {
    local folder=$1 ending=$2 name
    for name in nice-dcv-server nice-xdcv; do
        if ! compgen -G "$folder/${name}[-_][0-9]*.$ending" >/dev/null; then
            fail "manifest parameter \`dcv-archive\`: the archive holds no $name package (.$ending)"
        fi
    done
    for name in nice-dcv-server nice-xdcv nice-dcv-web-viewer nice-dcv-gl; do
        compgen -G "$folder/${name}[-_][0-9]*.$ending" || true
    done
}

install_dcv() {
    local folder packages
    folder=$(mktemp -d)
    unpack_dcv "$folder"
    mapfile -t packages < <(chosen_packages "$folder" "$FORMAT")
    [[ ${#packages[@]} -ge 2 ]] || fail "manifest parameter \`dcv-archive\`: the archive holds no .$FORMAT packages"
    "verify_$FORMAT" "${packages[@]}"
    install_packages "${packages[@]}"
    rm -rf "$folder"
}

install_aws_cli() {
    [[ -f $DOWNLOADS/awscli.zip ]] || return 0
    local folder
    folder=$(mktemp -d)
    python_of_the_system -m zipfile -e "$DOWNLOADS/awscli.zip" "$folder"
    # The archive's modes are lost on the way.
    chmod 0755 "$folder/aws/install" "$folder/aws/dist/aws" "$folder/aws/dist/aws_completer"
    "$folder/aws/install" --install-dir /opt/aws-cli --bin-dir /usr/local/bin
    rm -rf "$folder"
}

fail() {
    echo "error: $*" >&2
    exit 1
}

choose_system
mkdir -p "$(dirname "$RECORD")"
refresh
case "${1:?}" in
system)
    install_packages "${SYSTEM_PACKAGES[@]}"
    # The name under which our programs find a Python that they can rely on.
    ln -sf "$(command -v "$PYTHON")" /usr/local/bin/dcv-python
    ;;
dcv)
    install_dcv
    install_aws_cli
    ;;
esac
record
clean
echo "installed: $(wc -l <"$RECORD") packages are recorded in the image"
