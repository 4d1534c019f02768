# shellcheck shell=bash
# The session starts it itself, before the other programs ask it for colours and fonts.
rm -f /etc/xdg/autostart/xfsettingsd.desktop
# A locker that is not installed.
rm -f /etc/xdg/autostart/xscreensaver.desktop
# The image has neither: the menu does not offer them. An image with one takes the line out again.
sed -i '/^NoDisplay=/d; /^\[Desktop Entry\]/a NoDisplay=true' \
    /usr/share/applications/xfce4-web-browser.desktop /usr/share/applications/xfce4-mail-reader.desktop
