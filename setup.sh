#!/bin/sh
# Makes .venv and installs the project with all it needs, ngspice and its library. `make` runs it when it has to.
set -eu
cd "$(dirname "$0")"
PYTHON="${PYTHON:-python3}"

say() { printf '%s\n' "setup: $*"; }
fail() {
    say "$*" >&2
    exit 1
}

# Installs system packages: apt (with sudo when not root) or brew; elsewhere it says what to install by hand.
install() {
    if command -v apt-get >/dev/null 2>&1; then
        sudo=""
        if [ "$(id -u)" -ne 0 ]; then
            command -v sudo >/dev/null 2>&1 || fail "these Debian packages are missing, and neither root nor sudo is here: $*"
            sudo="sudo"
        fi
        say "installing $*"
        $sudo apt-get update -qq
        DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "$@"
    elif command -v brew >/dev/null 2>&1; then
        say "installing $*"
        brew install "$@"
    else
        fail "please install $* with your system's package manager, then run make again"
    fi
}

command -v "$PYTHON" >/dev/null 2>&1 || fail "Python 3.11 or later is needed, but '$PYTHON' is not here; name it with make PYTHON=..."
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "Python 3.11 or later is needed, but '$PYTHON' is $("$PYTHON" -V 2>&1); name another with make PYTHON=..."
command -v ngspice >/dev/null 2>&1 || install ngspice
if ! "$PYTHON" -c 'import ctypes.util, sys; sys.exit(ctypes.util.find_library("ngspice") is None)'; then
    if command -v apt-get >/dev/null 2>&1; then library=libngspice0; else library=libngspice; fi
    (install "$library") || say "without $library, which only the simulator through PySpice needs"
fi
if ! command -v chromium >/dev/null 2>&1 && command -v apt-get >/dev/null 2>&1; then
    (install chromium) || say "without chromium, which only the tests of reports need"
fi
if ! "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null; then
    command -v apt-get >/dev/null 2>&1 || fail "'$PYTHON' has no venv module; please install it, then run make again"
    install "$("$PYTHON" -c 'import sys; print(f"python{sys.version_info[0]}.{sys.version_info[1]}-venv")')"
fi

.venv/bin/python -m pip --version >/dev/null 2>&1 || "$PYTHON" -m venv --clear .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[plot,dask,pyspice,test]'
PYRIGHT_PYTHON_IGNORE_WARNINGS=1 .venv/bin/pyright --version # fetches what it runs, so that tests need no network
