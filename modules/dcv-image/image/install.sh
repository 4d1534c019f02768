#!/bin/bash
# Installs what the image needs from the package sources of its base image, for every supported
# operating system, and records exactly what is installed then.
set -euo pipefail

readonly RECORD=/usr/share/dcv-image/packages.txt

install_with_apt() {
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -qq --yes --no-install-recommends python3
    apt-get clean
    rm -rf /var/lib/apt/lists/*
}

install_with_dnf() {
    dnf install --quiet --assumeyes --setopt=install_weak_deps=False python3
    dnf clean all
}

install_with_extras() {
    # Amazon Linux 2's own Python is 3.7; its extras have 3.8, the lowest that our code supports.
    amazon-linux-extras install -y python3.8
    yum clean all
    rm -rf /var/cache/yum
}

record_deb_packages() {
    dpkg-query --show --showformat='${Package} ${Version} ${Architecture}\n' | LC_ALL=C sort >"$RECORD"
}

record_rpm_packages() {
    rpm --query --all --queryformat '%{NAME} %{EPOCHNUM}:%{VERSION}-%{RELEASE} %{ARCH}\n' | LC_ALL=C sort >"$RECORD"
}

# The name under which our scripts find a Python that they can rely on.
link_python() {
    ln -sf "$(command -v "$1")" /usr/local/bin/dcv-python
}

# shellcheck source=/dev/null
. /etc/os-release
mkdir -p "$(dirname "$RECORD")"
case "$ID-${VERSION_ID:-}" in
amzn-2023*)
    install_with_dnf
    record_rpm_packages
    link_python python3
    ;;
amzn-2)
    install_with_extras
    record_rpm_packages
    link_python python3.8
    ;;
ubuntu-22.04 | ubuntu-24.04 | debian-12)
    install_with_apt
    record_deb_packages
    link_python python3
    ;;
*)
    echo "unsupported operating system: ${PRETTY_NAME:-$ID}; the base image must be Amazon Linux 2023 or 2," \
        "Ubuntu 22.04 or 24.04, or Debian 12" >&2
    exit 1
    ;;
esac
echo "installed on ${PRETTY_NAME:-$ID}: $(wc -l <"$RECORD") packages are recorded in $RECORD"
