# shellcheck shell=bash
# The session starts it itself, before the other programs ask it for colours and fonts.
rm -f /etc/xdg/autostart/xfsettingsd.desktop
# A locker that is not installed.
rm -f /etc/xdg/autostart/xscreensaver.desktop
# The image has neither: the menu does not offer them. An image with one takes the line out again.
sed -i '/^NoDisplay=/d; /^\[Desktop Entry\]/a NoDisplay=true' \
    /usr/share/applications/xfce4-web-browser.desktop /usr/share/applications/xfce4-mail-reader.desktop

# What a first start would write into the user's settings one by one is there from the beginning. Window manager
# and settings daemon look up again after each write, which was a third of all that a start has to do.
readonly SETTINGS=/etc/xdg/xfce4/xfconf/xfce-perchannel-xml

# The window manager's own defaults, but for what our file says.
seed_xfwm4() {
    local name value type
    while IFS='=' read -r name value; do
        case $name=$value in
        title_shadow_*) type=string ;; # these are words, though false is one of them
        *=true | *=false) type=bool ;;
        *=*[!0-9-]*) type=string ;;
        *) type=int ;;
        esac
        grep --quiet "name=\"$name\"" "$SETTINGS/xfwm4.xml" ||
            sed -i "/name=\"general\"/a \    <property name=\"$name\" type=\"$type\" value=\"$value\"/>" \
                "$SETTINGS/xfwm4.xml"
    done </usr/share/xfwm4/defaults
}

# The shortcuts that a user may change are a copy of the default ones, and `override` says that they were copied.
seed_shortcuts() {
    local file=$SETTINGS/xfce4-keyboard-shortcuts.xml
    awk '
        /^    <property name="default" type="empty">/ { copying = 1 }
        { print }
        copying { copy = copy $0 "\n" }
        copying && /^    <\/property>/ {
            sub("name=\"default\" type=\"empty\">", \
                "name=\"custom\" type=\"empty\">\n      <property name=\"override\" type=\"bool\" value=\"true\"/>", copy)
            printf "%s", copy
            copy = ""
            copying = 0
        }' "$file" >"$file.new"
    mv "$file.new" "$file"
}

seed_xfwm4
seed_shortcuts
