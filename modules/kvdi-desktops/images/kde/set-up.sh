# shellcheck shell=bash
# The task bar offers what is installed: neither the software centre nor a browser is.
sed -i 's#<default>applications:systemsettings.desktop,.*</default>#<default>preferred://filemanager,applications:org.kde.konsole.desktop,applications:org.kde.kate.desktop,applications:systemsettings.desktop</default>#' \
    /usr/share/plasma/plasmoids/org.kde.plasma.taskmanager/contents/config/main.xml
# An index of every file of the home, and an agent of a service that needs a real machine.
rm -f /etc/xdg/autostart/baloo_file.desktop /etc/xdg/autostart/polkit-kde-authentication-agent-1.desktop
