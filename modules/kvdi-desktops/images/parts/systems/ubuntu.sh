# shellcheck shell=bash
# Ubuntu: Debian's package manager with another archive.

# shellcheck source-path=SCRIPTDIR source=debian.sh
. "$PARTS/systems/debian.sh"

# tini and supervisor lie in `universe`.
MORE_COMPONENTS=" universe"

# The mirror has Ubuntu's archive at /ubuntu, security updates included.
use_mirror() {
    local mirror=${1%/}
    export_suites "$mirror/ubuntu" "$mirror/ubuntu"
}
