# shellcheck shell=bash
# The task bar offers what is installed: neither the software centre nor a browser is.
sed -i 's#<default>applications:systemsettings.desktop,.*</default>#<default>preferred://filemanager,applications:org.kde.konsole.desktop,applications:org.kde.kate.desktop,applications:systemsettings.desktop</default>#' \
    /usr/share/plasma/plasmoids/org.kde.plasma.taskmanager/contents/config/main.xml
# An index of every file of the home, and an agent of a service that needs a real machine.
rm -f /etc/xdg/autostart/baloo_file.desktop /etc/xdg/autostart/polkit-kde-authentication-agent-1.desktop
# It shows the traces of crashes that systemd collects on a real machine; here its program is not there.
rm -f /usr/share/applications/org.kde.drkonqi.coredump.gui.desktop
