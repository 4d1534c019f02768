# shellcheck shell=bash
# Verifies packages against the vendor's key, and nothing but that key. Its fingerprint was compared before.

readonly KEY=$DOWNLOADS/dcv-signing-key

# A key ring of our own: what the system trusts does not count.
verify_rpm() {
    local ring package said
    ring=$(mktemp -d)
    rpm --dbpath "$ring" --initdb
    rpm --dbpath "$ring" --import "$KEY.asc"
    for package in "$@"; do
        said=$(LC_ALL=C rpm --dbpath "$ring" --checksig --verbose "$package" 2>&1) ||
            fail "manifest parameter \`dcv-archive\`: $(basename "$package") is not signed with the key that" \
                "\`dcv-signing-key-fingerprint\` names: $said"
        # Without a signature rpm is content with the checksums.
        grep -q 'Signature, key ID .*: OK' <<<"$said" ||
            fail "manifest parameter \`dcv-archive\`: $(basename "$package") carries no signature"
    done
    rm -rf "$ring"
}

verify_deb() {
    local package
    for package in "$@"; do
        python_of_the_system "$HERE/verify_deb.py" "$package" "$KEY.gpg" "${UNSIGNED_DEB:?}" ||
            fail "manifest parameter \`dcv-archive\`: $(basename "$package") was not installed"
    done
}
