# shellcheck shell=bash
# Removes what differs between two builds of the same inputs, and what nobody needs in an image.

clean() {
    case $INSTALLER in
    apt-get) apt-get clean ;;
    *) "$INSTALLER" --quiet clean all ;;
    esac
    rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/dnf /var/cache/yum /var/lib/dnf/history* /var/lib/yum \
        /var/cache/ldconfig /var/cache/fontconfig /var/cache/debconf/*-old /var/lib/dpkg/*-old \
        /etc/*- /var/lib/rpm/__db* /root/.cache /tmp/* /var/tmp/*
    find /var/log -type f -delete
    find / -xdev -type d -name __pycache__ -prune -exec rm -rf {} +
    settle_accounts
    # Each container gets one of its own when it needs it.
    if [[ -e /etc/machine-id ]]; then : >/etc/machine-id; fi
    rm -f /var/lib/dbus/machine-id
}

# An account remembers the day on which its password was set (shadow(5)): here it is always the same.
settle_accounts() {
    local day=10957 # 2000-01-01
    sed -i -E "s/^([^:]*:[^:]*:)[0-9]*:/\\1$day:/" /etc/shadow
}
