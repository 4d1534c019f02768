#!/bin/bash
# What the image is made of, in three steps of the Dockerfile:
#
#   install.sh system                         Python, buildah, and what builds of an ordinary user need
#   install.sh python-packages REQUIREMENTS   the packages that REQUIREMENTS pins, each by its hashes
#   install.sh finish                         the account, links and byte code
#
# Two runs leave the same files: what depends on when or where it ran is removed or set.
set -euo pipefail

readonly HOME_FOLDER=/opt/image-builder STATE=/var/lib/image-builder RECORDS=/usr/share/image-builder
readonly MIRROR=/run/mirror/sources.list
readonly PACKAGES=(python3-minimal libpython3-stdlib buildah uidmap libcap2-bin util-linux mount tar ca-certificates)
readonly DAY=10957 # 2000-01-01, in days since 1970 (shadow(5))

fail() {
    echo "error: $*" >&2
    exit 1
}

# The base has none before the package ca-certificates is installed, and that comes from the mirror.
need_certificates() {
    if grep -qs '^deb .*https:' "$MIRROR" && [[ ! -s /etc/ssl/certs/ca-certificates.crt ]]; then
        fail "os-packages-mirror: the base image has no certificates to verify an https mirror with;" \
            "give its http address (signatures verify the packages all the same)," \
            "or a base-image that has ca-certificates"
    fi
}

apt() {
    local options=()
    if [[ -s $MIRROR ]]; then
        need_certificates
        options=(-o "Dir::Etc::SourceList=$MIRROR" -o Dir::Etc::SourceParts=/dev/null)
    fi
    DEBIAN_FRONTEND=noninteractive apt-get "${options[@]}" "$@"
}

install_packages() {
    # A build that is broken off is thrown away: nothing has to be safe on the disk in between.
    apt -o Dpkg::Options::=--force-unsafe-io -o Dpkg::Use-Pty=0 \
        install -qq --yes --no-install-recommends "$@"
}

python_packages() {
    local requirements=$1 pip
    apt update -qq
    install_packages python3-pip-whl
    # The wheel is a program as it is; Debian's package of it would bring a compiler's worth of others.
    pip=$(echo /usr/share/python-wheels/pip-*.whl)/pip
    python3 "$pip" install --quiet --disable-pip-version-check --root-user-action=ignore --no-cache-dir \
        --no-compile --require-hashes --only-binary=:all: --target="$HOME_FOLDER" --requirement "$requirements"
    # Programs of packages, which name this stage's Python, and tests of C code.
    rm -rf "${HOME_FOLDER:?}/bin" "$HOME_FOLDER/greenlet/tests" "$HOME_FOLDER"/*.dist-info/RECORD
    find "$HOME_FOLDER" -type f '(' -name '*.pyi' -o -name '*.c' -o -name '*.h' ')' -delete
    # Of AWS the service knows ECR, S3, and what its credentials come from.
    find "$HOME_FOLDER/botocore/data" -mindepth 1 -maxdepth 1 -type d \
        -not '(' -name ecr -o -name s3 -o -name sts -o -name sso -o -name sso-oidc ')' -exec rm -rf {} +
    compile "$HOME_FOLDER"
}

# By content, since the files' times are the same in every image.
compile() {
    python3 -IS -m compileall -q --invalidation-mode unchecked-hash "$@"
}

# buildah's package asks for what only containers with a network of their own need, and for a program that
# verifies signatures of images. Builds have no network, and bases are verified by their digests.
leave_out_what_builds_do_not_use() {
    local folder
    folder=$(mktemp -d)
    mkdir -p "$folder/package/DEBIAN"
    cat >"$folder/package/DEBIAN/control" <<CONTROL
Package: image-builder-lean
Version: 1.0
Architecture: all
Maintainer: airgap-modules
Provides: golang-github-containers-common (= 99), gpg (= 99)
Description: stands for packages that builds without a network do not use
CONTROL
    dpkg-deb --root-owner-group --build "$folder/package" "$folder/lean.deb" >/dev/null
    dpkg --install "$folder/lean.deb" >/dev/null
    rm -rf "$folder"
}

leave_documents_out() {
    printf 'path-exclude=/usr/share/%s/*\n' doc man info lintian locale >/etc/dpkg/dpkg.cfg.d/image-builder
    echo 'path-include=/usr/share/doc/*/copyright' >>/etc/dpkg/dpkg.cfg.d/image-builder
}

system() {
    leave_documents_out
    apt update -qq
    leave_out_what_builds_do_not_use
    install_packages "${PACKAGES[@]}"
    grant_mapping
    mkdir -p "$RECORDS"
    dpkg-query --show --showformat='${Package} ${Version} ${Architecture}\n' |
        LC_ALL=C sort >"$RECORDS/packages.txt"
    clean
}

# No program of the image becomes another user. Debian's newuidmap becomes root, which in a container has no
# power over a namespace that another user has made; with the one capability that it needs it stays that user
# (user_namespaces(7)).
grant_mapping() {
    find / -xdev -type f -perm /6000 -exec chmod a-s {} +
    setcap cap_setuid=ep /usr/bin/newuidmap
    setcap cap_setgid=ep /usr/bin/newgidmap
}

clean() {
    apt clean
    find / -xdev -type d -name __pycache__ -prune -exec rm -rf {} +
    find /var/log -type f -delete
    rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/debconf/*-old /var/cache/ldconfig \
        /var/lib/dpkg/*-old /etc/*- /root/.cache /tmp/* /var/tmp/*
    if [[ -f /etc/machine-id ]]; then : >/etc/machine-id; fi
}

finish() {
    chmod 0755 /usr/local/bin/image-builder /usr/local/bin/image-builder-health
    ln -s image-builder /usr/local/bin/dcrx-kv
    make_account
    install -d -m 1777 "$STATE" /tmp/image-builder
    compile "$HOME_FOLDER/image_builder"
    compile_standard_library
    rm -f /etc/*-
}

# The service's user with a range of users for builds. The user 65534 has one too: a platform may know the
# service by this number.
make_account() {
    groupadd --gid 1000 builder
    useradd --uid 1000 --gid 1000 --home-dir "$STATE" --no-create-home --shell /usr/sbin/nologin builder
    local file
    for file in /etc/subuid /etc/subgid; do
        printf '%s:100000:65536\n' builder nobody >"$file"
    done
    sed -i -E "s/^([^:]*:[^:]*:)[0-9]+:/\\1$DAY:/" /etc/shadow
}

# The system's Python has compiled its own files at the time of the installation.
compile_standard_library() {
    local library
    library=$(python3 -IS -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')
    find "$library" -type d -name __pycache__ -prune -exec rm -rf {} +
    compile "$library"
}

case "${1:-}" in
python-packages) python_packages "${2:?}" ;;
system) system ;;
finish) finish ;;
*) fail "the step \"${1:-}\" is unknown: give python-packages, system or finish" ;;
esac
