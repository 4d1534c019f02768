#!/bin/bash
# Adds one desktop to the image, or makes the base, in two steps: its packages, which are recorded, and its
# processes and files. Each step removes what would differ from build to build. An image that stands on one of
# these adds packages of its own, recorded too.
#
#   install.sh packages|set-up DESKTOP
#   install.sh add PACKAGE...
#
# shellcheck source-path=SCRIPTDIR
# Reads: SYSTEM and FAMILY (the base records them for the images on top of it), OS_PACKAGES_MIRROR.
set -euo pipefail

readonly PARTS=/usr/share/kvdi-desktops/parts
readonly RECORDS=/usr/share/kvdi-desktops
# Languages that a desktop speaks when LANG asks for one; C.UTF-8 is always there.
# shellcheck disable=SC2034 # the system's part reads them
readonly LOCALES=(en_US.UTF-8 en_GB.UTF-8 de_DE.UTF-8 fr_FR.UTF-8 es_ES.UTF-8 it_IT.UTF-8 nl_NL.UTF-8 pt_BR.UTF-8)

fail() {
    echo "error: $*" >&2
    exit 1
}

# The packages that a list names for this system; a number sign begins a comment.
listed() {
    local file
    for file in "$@"; do
        [[ ! -f $file ]] || sed 's/#.*//' "$file"
    done | xargs
}

read_system() {
    # shellcheck source=/dev/null
    . /etc/os-release
    if [[ -f $RECORDS/system ]]; then
        SYSTEM=$(<"$RECORDS/system")
        FAMILY=$(<"$RECORDS/family")
    fi
    [[ -f $PARTS/systems/${SYSTEM:=}.sh ]] ||
        fail "SYSTEM is \"$SYSTEM\": give one of $(cd "$PARTS/systems" && echo *.sh | sed 's/\.sh//g')"
    [[ ${FAMILY:=} == supervisord || $FAMILY == systemd ]] ||
        fail "FAMILY is \"$FAMILY\": give one of supervisord systemd"
    # shellcheck source=systems/debian.sh
    . "$PARTS/systems/$SYSTEM.sh"
    if [[ ${ID:-} != "$SYSTEM" ]] || ! command -v "$PACKAGE_MANAGER" >/dev/null; then
        fail "the base image is ${PRETTY_NAME:-unknown}, without the package manager $PACKAGE_MANAGER that" \
            "images of the system $SYSTEM are made with: give a base image of $SYSTEM"
    fi
}

# What a desktop adds for this family, at its place in the file system.
install_files() {
    local folder=$1
    if [[ -d $folder/files ]]; then
        cp -R "$folder/files/." /
        set_programs_modes "$folder/files/usr/local/bin"
    fi
    case $FAMILY in
    supervisord) install_processes "$folder/processes" .conf /etc/supervisor/conf.d ;;
    systemd)
        install_processes "$folder/processes" .service /etc/systemd/user
        enable_processes "$folder/processes"
        ;;
    esac
}

# Modes do not survive every way that a module's files take.
set_programs_modes() {
    local folder=$1
    [[ -d $folder ]] || return 0
    find "$folder" -type f -printf '/usr/local/bin/%P\0' | xargs -0r chmod 0755
}

install_processes() {
    local folder=$1 ending=$2 target=$3
    [[ -d $folder ]] || return 0
    mkdir -p "$target"
    find "$folder" -name "*$ending" -exec install -m 0644 -t "$target" {} +
}

enable_processes() {
    local unit
    for unit in "$1"/*.service; do
        [[ ! -f $unit ]] || systemctl --quiet --global enable "$(basename "$unit")"
    done
}

# A cache of fonts holds its folders' times: with fixed ones it stays valid, and the same in every build.
cache_fonts() {
    command -v fc-cache >/dev/null || return 0
    local folder
    for folder in /usr/share/fonts /usr/local/share/fonts; do
        [[ ! -d $folder ]] || find "$folder" -type d -exec touch --date=2000-01-01T00:00:00Z {} +
    done
    fc-cache --force --system-only
}

add_listed() {
    local desktop=$1 packages
    read -r -a packages <<<"$(
        listed "$RECORDS/$desktop/packages/$SYSTEM.txt" "$RECORDS/$desktop/packages/$SYSTEM-$FAMILY.txt"
    )"
    add_packages "$desktop" "${packages[@]}"
}

# For a desktop, or for none of them.
add_packages() {
    local desktop=$1 begin
    shift
    begin=$(mktemp)
    [[ -z ${OS_PACKAGES_MIRROR:-} ]] || use_mirror "$OS_PACKAGES_MIRROR"
    [[ $desktop != base ]] || leave_documents_out
    refresh_packages
    if [[ $desktop == base ]]; then
        leave_out_what_weighs
        make_locales
    fi
    [[ $# -eq 0 ]] || install_packages "$@"
    restore_sources
    record
    cache_fonts
    # What the packages' own scripts compiled is never twice the same; what the base compiled stays.
    find / -xdev -name '*.pyc' -cnewer "$begin" -delete
    find / -xdev -type d -name __pycache__ -empty -delete
    rm "$begin"
}

set_up() {
    local desktop=$1
    if [[ $desktop == base ]]; then
        # shellcheck source=set-up.sh
        . "$PARTS/set-up.sh"
        # shellcheck source=families/supervisord/set-up.sh
        . "$PARTS/families/$FAMILY/set-up.sh"
        set_up_base
        set_up_family
    fi
    install_files "$RECORDS/$desktop"
    # shellcheck source=/dev/null
    [[ ! -f $RECORDS/$desktop/set-up.sh ]] || . "$RECORDS/$desktop/set-up.sh"
    [[ $desktop != base ]] || python3 -IBS "$PARTS/compile.py"
}

record() {
    echo "$SYSTEM" >"$RECORDS/system"
    echo "$FAMILY" >"$RECORDS/family"
    list_packages | LC_ALL=C sort >"$RECORDS/packages.txt"
    python3 -IBS "$PARTS/sbom.py" "$RECORDS/packages.txt" "$ID" "${VERSION_ID:-rolling}" >"$RECORDS/sbom.spdx.json"
}

# What differs between two builds of the same packages.
clean() {
    clean_packages
    find /var/log -type f -delete
    rm -rf /etc/{passwd,group,shadow,gshadow,subuid,subgid}- /tmp/* /var/tmp/* /root/.cache
    # The machine's identity is random; a container gets its own when it starts.
    [[ -L /etc/machine-id || ! -f /etc/machine-id ]] || : >/etc/machine-id
    [[ -L /var/lib/dbus/machine-id || ! -f /var/lib/dbus/machine-id ]] ||
        ln --symbolic --force /etc/machine-id /var/lib/dbus/machine-id
    # Accounts that packages made carry the day on which this ran.
    sed -i -E 's/^([^:]*:[^:]*:)[0-9]+:/\119000:/' /etc/shadow
}

main() {
    [[ $# -ge 2 ]] || fail "give packages DESKTOP, set-up DESKTOP, or add PACKAGE..."
    local phase=$1
    shift
    read_system
    case $phase in
    packages) add_listed "$1" ;;
    set-up) set_up "$1" ;;
    add) add_packages "" "$@" ;;
    *) fail "there is no phase \"$phase\": give packages, set-up or add" ;;
    esac
    clean
}

main "$@"
