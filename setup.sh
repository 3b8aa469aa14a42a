#!/bin/sh
# Makes .venv and installs what a task needs; `make` runs it when it has to.
#
#   setup.sh ready    the packages with matplotlib, and ngspice: what `make demo` runs
#   setup.sh test     linters, test tools, a browser, and ngspice's library besides
#   setup.sh docs     what builds the site
#   setup.sh lab      JupyterLab
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

# Installs this project into .venv with an extra or several. uv takes a third of the time of pip (13 s against 38 s); where it is not
# on the path it goes into .venv, and where it fails, as behind a mirror that only pip is told of, pip does the work.
packages() {
    uv=$(command -v uv || echo .venv/bin/uv)
    [ -x "$uv" ] || .venv/bin/python -m pip install --quiet --disable-pip-version-check uv || say "without uv"
    compiled="${PYTHONDONTWRITEBYTECODE:+--compile-bytecode}" # else Python compiles what is imported, once
    "$uv" pip install --quiet $compiled --python .venv/bin/python --editable ".[$1]" 2>/dev/null ||
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[$1]"
}

ready() {
    command -v "$PYTHON" >/dev/null 2>&1 || fail "Python 3.11 or later is needed, but '$PYTHON' is not here; name it with make PYTHON=..."
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "Python 3.11 or later is needed, but '$PYTHON' is $("$PYTHON" -V 2>&1); name another with make PYTHON=..."
    command -v ngspice >/dev/null 2>&1 || install ngspice
    if ! "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null; then
        command -v apt-get >/dev/null 2>&1 || fail "'$PYTHON' has no venv module; please install it, then run make again"
        install "$("$PYTHON" -c 'import sys; print(f"python{sys.version_info[0]}.{sys.version_info[1]}-venv")')"
    fi
    .venv/bin/python -m pip --version >/dev/null 2>&1 || "$PYTHON" -m venv --clear .venv
    packages plot
}

# What a part of the tests needs alone may be missing: those tests are then skipped.
tests() {
    if ! "$PYTHON" -c 'import ctypes.util, sys; sys.exit(ctypes.util.find_library("ngspice") is None)'; then
        if command -v apt-get >/dev/null 2>&1; then library=libngspice0; else library=libngspice; fi
        (install "$library") || say "without $library, which only the simulator through PySpice needs"
    fi
    if ! command -v chromium >/dev/null 2>&1 && command -v apt-get >/dev/null 2>&1; then
        (install chromium) || say "without chromium, which only the tests of reports need"
    fi
    packages plot,dask,pyspice,test
    PYRIGHT_PYTHON_IGNORE_WARNINGS=1 .venv/bin/pyright --version # fetches what it runs, so that tests need no network
}

case "${1:-}" in
    ready) ready ;;
    test) tests ;;
    docs | lab) packages "$1" ;;
    *) fail "the task must be ready, test, docs or lab, but is '${1:-}'" ;;
esac
