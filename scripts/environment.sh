# shellcheck shell=bash
# Sourced by the programs in this folder: makes the repository's Python environment (.venv, from uv.lock)
# and sets AIRGAP_PYTHON and UV. uv itself is installed into .local when the machine has none.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
uv_version=0.13.8

find_uv() {
    if command -v uv >/dev/null; then
        UV=$(command -v uv)
        return
    fi
    local home="${LOCAL_STATE_DIR:-$root/.local}/uv"
    UV=$home/bin/uv
    if [ -x "$UV" ]; then
        return
    fi
    echo "installing uv $uv_version into ${home}" >&2
    if ! python3 -m venv "$home" 2>/dev/null; then
        rm -rf "$home"
        if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
            echo "error: uv is missing and python3 cannot make a virtual environment; install uv" \
                "(https://docs.astral.sh/uv/) or your system's python3 with venv" >&2
            exit 1
        fi
        apt-get update >/dev/null
        apt-get install --yes --no-install-recommends python3-venv ca-certificates >/dev/null
        python3 -m venv "$home"
    fi
    "$home/bin/pip" install --quiet --disable-pip-version-check "uv==$uv_version"
}

find_uv
export UV
PATH=$(dirname "$UV"):$PATH
"$UV" sync --quiet --frozen --project "$root" --python 3.11
export AIRGAP_PYTHON=$root/.venv/bin/python
