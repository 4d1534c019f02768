# shellcheck shell=bash
# Arch: package manager, and what its packages leave behind.

# shellcheck disable=SC2034 # install.sh reads it
readonly PACKAGE_MANAGER=pacman
KEPT_SOURCES=""

# The mirror (manifest parameter `os-packages-mirror`) has Arch's repositories at /archlinux.
use_mirror() {
    KEPT_SOURCES=$(mktemp)
    cp /etc/pacman.d/mirrorlist "$KEPT_SOURCES"
    # pacman itself puts the names of the repository and the architecture in.
    # shellcheck disable=SC2016
    printf 'Server = %s/archlinux/$repo/os/$arch\n' "${1%/}" >/etc/pacman.d/mirrorlist
}

restore_sources() {
    [[ -n $KEPT_SOURCES ]] || return 0
    cat "$KEPT_SOURCES" >/etc/pacman.d/mirrorlist # which keeps its own mode
    rm "$KEPT_SOURCES"
}

refresh_packages() {
    # Arch supports no installation from newer lists onto older packages.
    pacman -Syu --noconfirm --noprogressbar
}

install_packages() {
    pacman -S --noconfirm --noprogressbar --needed "$@"
}

leave_documents_out() {
    sed -i '/^\[options\]/a NoExtract = usr/share/doc/* usr/share/man/* usr/share/info/* usr/share/gtk-doc/*' \
        /etc/pacman.conf
}

# Nothing here insists on more than a desktop needs.
leave_out_what_weighs() { :; }

make_locales() {
    local locale
    for locale in "${LOCALES[@]}"; do
        # Arch's image for containers leaves most of them out (NoExtract in its pacman.conf).
        if [[ ! -f /usr/share/i18n/locales/${locale%%.*} ]]; then
            echo "the base image has no source of the language $locale: desktops will not speak it"
            continue
        fi
        localedef --no-archive -i "${locale%%.*}" -f UTF-8 "/usr/lib/locale/${locale%%.*}.utf8"
    done
}

list_packages() {
    local architecture
    architecture=$(uname -m)
    pacman --query | awk -v OFS='\t' -v architecture="$architecture" '{ print $1, $2, architecture }'
}

clean_packages() {
    rm -rf /var/cache/pacman/pkg/* /var/lib/pacman/sync/* /var/log/pacman.log /var/cache/ldconfig/aux-cache
    # When each package was installed.
    find /var/lib/pacman/local -name desc -exec sed -i '/^%INSTALLDATE%$/{n;s/.*/946684800/}' {} +
}
