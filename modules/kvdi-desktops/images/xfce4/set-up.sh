# shellcheck shell=bash
# The session starts it itself, before the other programs ask it for colours and fonts.
rm -f /etc/xdg/autostart/xfsettingsd.desktop
# Lockers that are not installed.
rm -f /etc/xdg/autostart/xscreensaver.desktop
