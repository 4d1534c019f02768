# shellcheck shell=bash
# The systemd family: systemd as the first process, and one of the desktop user's own.

set_up_family() {
    local own=$PARTS/families/systemd
    install -D -m 0644 -t /etc/systemd/system "$own"/system/*
    install -D -m 0644 "$own/manager.conf" /etc/systemd/system.conf.d/kvdi-desktop.conf
    install -D -m 0644 "$own/user-manager.conf" /etc/systemd/user.conf.d/kvdi-desktop.conf
    systemctl set-default kvdi-desktop.target
    # The image's own processes replace what packages would start for every user.
    systemctl --global mask pulseaudio.service pulseaudio.socket
    # Programs that look at a machine's disks, consoles and init scripts before anything starts.
    mask_generators /usr/lib/systemd/system-generators /etc/systemd/system-generators
    mask_generators /usr/lib/systemd/user-generators /etc/systemd/user-generators
    # systemd makes an identity for each container.
    : >/etc/machine-id
    # Nobody becomes root by a group's name.
    sed -i -E 's/^[[:space:]]*%/# &/' /etc/sudoers
    # ENABLE_ROOT: the start writes the rule where it is looked for; no folder, no rule.
    echo "@includedir /run/kvdi-desktop/sudoers.d" >>/etc/sudoers
}

mask_generators() {
    local found=$1 masked=$2 generator
    mkdir -p "$masked"
    for generator in "$found"/*; do
        [[ ! -e $generator ]] || ln -sf /dev/null "$masked/$(basename "$generator")"
    done
}
