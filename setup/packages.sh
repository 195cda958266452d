# shellcheck shell=bash
# Installs what comes from elsewhere: system packages, Python, Python packages.

# ---- System packages

as_root() { # COMMAND...
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

system_packages() { # WHY PACKAGE...
    local why=$1
    shift
    if ! command -v apt-get >/dev/null || ! as_root true 2>/dev/null; then
        die "$why." "Install it, then run this again. On Debian and its derivatives: sudo apt-get install $*"
    fi
    step "Installing system packages: $*" apt_install "$@" ||
        die "$why, and the installation failed." "The lines above say why."
}

apt_install() { # PACKAGE...
    as_root apt-get update &&
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
}

is_installed() { # PACKAGE
    local state
    state=$(dpkg-query --admindir="$SYSTEM/var/lib/dpkg" --show --showformat='${db:Status-Status}' "$1" 2>/dev/null) &&
        [ "$state" = installed ]
}

# ---- Python

is_good_python() { # PROGRAM
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() { # prints the program to use
    local candidate
    for candidate in "${TRUELIGHT_PYTHON:-python3}" python3 python3.14 python3.13 python3.12 python3.11; do
        if is_good_python "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    die "Python 3.11 or newer is needed; found here: $(python3 --version 2>&1 || true)." \
        "Debian 12, Raspberry Pi OS bookworm and Ubuntu 24.04 have it. To use another one: TRUELIGHT_PYTHON=/path/to/python3 $0"
}

make_venv() { # FOLDER PYTHON [OPTION...]: unless a working one exists
    local folder=$1 python=$2
    shift 2
    if is_good_python "$folder/bin/python" && "$folder/bin/python" -m pip --version >/dev/null 2>&1; then
        return
    fi
    if [ -z "$DRY_RUN" ] && ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        system_packages "Python's venv module is missing" \
            "$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
    fi
    step "Creating a Python environment in $folder" "$python" -m venv --clear "$@" "$folder" ||
        die "The Python environment could not be created." "The lines above say why."
}

# A lock file names every package with the SHA-256 of its files. pip refuses any other file, adds
# nothing, and runs no build script.
pip_install_locked() { # VENV WHAT LOCK...
    local venv=$1 what=$2 lock options=()
    shift 2
    for lock in "$@"; do options+=(--requirement "$lock"); done
    pip_install "$venv" "$what" --require-hashes --no-deps --only-binary :all: "${options[@]}"
}

pip_install() { # VENV WHAT ARGUMENT...
    local python=$1/bin/python what=$2
    shift 2
    step "$what" "$python" -m pip install --disable-pip-version-check "$@" ||
        die "Python packages could not be installed." \
            "The lines above say why. Common causes: no network, a full disk, or a Python that the lock files do not cover (they cover 3.11 to 3.14)."
}
