# shellcheck shell=bash
# shellcheck disable=SC2034  # install.sh reads what is set here
# What differs between operating systems: names of packages, and the program that installs them.

readonly MIRROR=/run/mirror
readonly RECORD=/usr/share/dcv-image/packages.txt

choose_system() {
    # shellcheck source=/dev/null
    . /etc/os-release
    PYTHON=python3
    case "${ID:-}-${VERSION_ID:-}" in
    amzn-2023)
        FORMAT=rpm INSTALLER=dnf
        SYSTEM_PACKAGES=(python3 openssl tar gzip shadow-utils util-linux procps-ng dbus-daemon xorg-x11-xauth
            xorg-x11-xkb-utils xkeyboard-config mesa-dri-drivers mesa-libGL libglvnd-glx glx-utils)
        ;;
    amzn-2)
        FORMAT=rpm INSTALLER=yum
        # The system's own Python is 3.7; its extras have 3.8, the lowest that our code supports.
        PYTHON=python3.8
        SYSTEM_PACKAGES=(python38 openssl tar gzip shadow-utils util-linux procps-ng dbus xorg-x11-xauth
            xorg-x11-xkb-utils xkeyboard-config mesa-dri-drivers mesa-libGL glx-utils)
        ;;
    ubuntu-22.04 | ubuntu-24.04 | debian-12)
        FORMAT=deb INSTALLER=apt-get
        SYSTEM_PACKAGES=(python3 openssl gpgv procps dbus xauth x11-xkb-utils xkb-data libgl1 libgl1-mesa-dri
            mesa-utils)
        ;;
    *)
        fail "manifest parameter \`base-image\`: unsupported operating system: ${PRETTY_NAME:-${ID:-unknown}}"
        ;;
    esac
}

python_of_the_system() {
    "$PYTHON" -IBS "$@"
}

# Sources of a mirror replace the base image's own.
sources() {
    grep -qs '^[^#]' "$MIRROR/mirror.repo" || return 0
    if [[ $FORMAT = deb ]]; then
        echo "--option=Dir::Etc::SourceList=$MIRROR/mirror.repo"
        echo "--option=Dir::Etc::SourceParts=/dev/null"
    else
        echo "--setopt=reposdir=$MIRROR"
    fi
}

refresh() {
    mapfile -t SOURCES < <(sources)
    if [[ $FORMAT = deb ]]; then
        export DEBIAN_FRONTEND=noninteractive
        apt-get "${SOURCES[@]}" update -qq
    elif [[ $INSTALLER = yum && ${#SOURCES[@]} -eq 0 ]]; then
        amazon-linux-extras enable python3.8 >/dev/null
    fi
}

install_packages() {
    case $INSTALLER in
    apt-get)
        # A build that is broken off is thrown away: nothing has to be safe on the disk in between.
        apt-get "${SOURCES[@]}" --option=Dpkg::Options::=--force-unsafe-io \
            install -qq --yes --no-install-recommends "$@"
        ;;
    dnf) dnf "${SOURCES[@]}" install --quiet --assumeyes --setopt=install_weak_deps=False "$@" ;;
    yum) yum "${SOURCES[@]}" install --quiet --assumeyes "$@" ;;
    esac
}

record() {
    if [[ $FORMAT = deb ]]; then
        dpkg-query --show --showformat='${Package} ${Version} ${Architecture}\n' | LC_ALL=C sort >"$RECORD"
    else
        rpm --query --all --queryformat '%{NAME} %{EPOCHNUM}:%{VERSION}-%{RELEASE} %{ARCH}\n' |
            LC_ALL=C sort >"$RECORD"
    fi
}
