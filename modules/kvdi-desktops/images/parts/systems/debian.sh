# shellcheck shell=bash
# Debian: package manager, and what its packages leave behind.

# shellcheck disable=SC2034 # install.sh reads it
readonly PACKAGE_MANAGER=apt-get

# Every source of the base image gives way to the mirror (manifest parameter `os-packages-mirror`), which
# has Debian's archive at /debian and its security archive at /debian-security.
use_mirror() {
    local mirror=${1%/}
    export_suites "$mirror/$ID" "$mirror/$ID-security"
}

export_suites() {
    local archive=$1 security=$2 keyring=/usr/share/keyrings/$ID-archive-keyring.gpg sources
    KEPT_SOURCES=$(mktemp -d)
    # A base may have either, or both.
    for sources in /etc/apt/sources.list /etc/apt/sources.list.d; do
        [[ ! -e $sources ]] || mv "$sources" "$KEPT_SOURCES/"
    done
    mkdir -p /etc/apt/sources.list.d
    printf 'deb [signed-by=%s] %s\n' \
        "$keyring" "$archive $VERSION_CODENAME main$MORE_COMPONENTS" \
        "$keyring" "$archive $VERSION_CODENAME-updates main$MORE_COMPONENTS" \
        "$keyring" "$security $VERSION_CODENAME-security main$MORE_COMPONENTS" >/etc/apt/sources.list
}

MORE_COMPONENTS=""
KEPT_SOURCES=""

# The image keeps the sources of its base: an isolated network's mirror is no business of the image.
restore_sources() {
    [[ -n $KEPT_SOURCES ]] || return 0
    rm -rf /etc/apt/sources.list /etc/apt/sources.list.d
    cp -a "$KEPT_SOURCES"/* /etc/apt/ # not the folder itself, whose mode is nobody else's
    rm -rf "$KEPT_SOURCES"
}

refresh_packages() {
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
}

install_packages() {
    apt-get install -qq --yes --no-install-recommends -o Dpkg::Use-Pty=0 "$@"
}

# Manuals and documents other than licences stay out, as in Debian's own slim image, and so do
# translations into languages whose locale is not made here.
leave_documents_out() {
    {
        echo "path-exclude=/usr/share/doc/*"
        echo "path-include=/usr/share/doc/*/copyright"
        printf 'path-exclude=/usr/share/%s/*\n' man info lintian doc-base gtk-doc help gnome/help locale
        echo "path-include=/usr/share/locale/locale.alias"
        local locale language
        for locale in "${LOCALES[@]}"; do
            language=${locale%%_*}
            printf 'path-include=/usr/share/locale/%s/*\n' "$language" "${locale%%.*}"
        done
    } >/etc/dpkg/dpkg.cfg.d/kvdi-desktops
}

# Two packages that others insist on are not needed by any desktop here, and weigh more than the rest of
# the base: the software renderer (LLVM) and codecs for ALSA. An empty package stands for them; the real
# ones can be installed beside it at any time.
leave_out_what_weighs() {
    local folder
    folder=$(mktemp -d)
    mkdir -p "$folder/package/DEBIAN"
    cat >"$folder/package/DEBIAN/control" <<CONTROL
Package: kvdi-desktops-lean
Version: 1.0
Architecture: all
Maintainer: airgap-modules
Provides: libgl1-mesa-dri (= 99), libasound2-plugins (= 99)
Description: stands for packages that desktops in a container work without
CONTROL
    dpkg-deb --root-owner-group --build "$folder/package" "$folder/lean.deb" >/dev/null
    dpkg --install "$folder/lean.deb" >/dev/null
    rm -rf "$folder"
}

make_locales() {
    install_packages locales
    local locale
    for locale in "${LOCALES[@]}"; do
        localedef --no-archive -i "${locale%%.*}" -f UTF-8 "/usr/lib/locale/${locale%%.*}.utf8"
    done
    apt-get purge -qq --yes locales libc-l10n >/dev/null
}

list_packages() {
    dpkg-query --show --showformat='${db:Status-Abbrev}\t${Package}\t${Version}\t${Architecture}\n' |
        sed -n 's/^ii *\t//p'
}

clean_packages() {
    apt-get clean
    rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/debconf/*-old /var/lib/dpkg/*-old \
        /var/lib/systemd/deb-systemd-* /var/cache/ldconfig/aux-cache
}
