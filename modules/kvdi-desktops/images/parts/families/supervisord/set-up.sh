# shellcheck shell=bash
# The supervisord family: tini, supervisord, no privilege at all.

set_up_family() {
    install -D -m 0644 "$PARTS/families/supervisord/supervisord.conf" /etc/supervisor/supervisord.conf
    # Without systemd, the start makes an identity for each container.
    rm -f /etc/machine-id /var/lib/dbus/machine-id
    mkdir -p /var/lib/dbus
    ln -s /run/kvdi-desktop/machine-id /etc/machine-id
    ln -s /run/kvdi-desktop/machine-id /var/lib/dbus/machine-id
    # Packages that are added later read it while they are installed. Any user of the image may replace it
    # where nothing is mounted on /run.
    mkdir -p /run/kvdi-desktop
    : >/run/kvdi-desktop/machine-id
    chmod 0777 /run/kvdi-desktop
}
