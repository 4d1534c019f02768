# shellcheck shell=bash
# What the base has in every family.

set_up_base() {
    install -D -m 0755 "$PARTS/kvdi_desktop_command.py" /usr/local/bin/kvdi-desktop
    install -D -m 0644 -t /usr/lib/kvdi-desktop/kvdi_desktop "$PARTS"/kvdi_desktop/*.py
    # The manager's default user, for a process that is started beside the desktop before it has a name.
    # Its home is no folder of a user: an engine sets HOME from here, which is not what the manager meant.
    echo "user:x:9000:9000:user:/:/bin/bash" >>/etc/passwd
    echo "user:x:9000:" >>/etc/group
    echo "user:*:19000:0:99999:7:::" >>/etc/shadow
    # Names of users come from the manager, and lie in /run: it is asked before the image's own list. Never for
    # passwords: without root the list is the user's own to write, who would give root one that he knows.
    sed -i -E 's/^(passwd|group):[[:space:]]*/\1: extrausers /' /etc/nsswitch.conf
    rm -rf /var/lib/extrausers
    ln -s /run/kvdi-desktop/extrausers /var/lib/extrausers
    # The proxy beside the desktop transfers files by this path.
    mkdir -p /mnt
    ln -s /run/kvdi-desktop/home /mnt/home
    # Desktops would load modules for X into the sound server, which end it with their session.
    rm -f /etc/xdg/autostart/pulseaudio.desktop
    # For a run without the manager's mounts: whoever the user is makes his folders here.
    mkdir -p /run/user /run/kvdi /usr/share/kvdi-desktops/skel
    chmod 1777 /run /run/user /run/kvdi /home
}
