# shellcheck shell=bash
# Makes this machine the box. Run again, it does only what is not done yet.

OPT=$SYSTEM/opt/truelight
PLACED=$OPT/.placed # names what lies outside OPT, so that nothing of it is forgotten
UNFINISHED=$OPT/.unfinished
BOOT=$SYSTEM/boot/firmware/config.txt
OVERLAY=$SYSTEM/etc/truelight/truelight.yaml

PROGRAM=(CHANGELOG.md LICENSE NOTICE README.md config docs edge export models pyproject.toml
    samples setup setup.sh systemd)

# The journal, the pins and the camera are spoken to by modules that only the system brings: what
# the package index has is source without a compiler, empty on Python 3.13, or made for no Pi.
SYSTEM_PYTHON=/usr/bin/python3
BOX_PACKAGES=(python3-venv python3-systemd python3-lgpio python3-picamera2)

SOURCE=$ROOT # what is installed from
TARGETS=()  # what is placed outside OPT
CHANGED=    # is anything new to a running box?
REBOOT=     # does the machine have to start anew?
LEFT_OUT=() # packages that --anyway does without

command_install() { # [--dry-run] [--anyway]
    take_options "$@"
    umask 022
    cd /
    say "Checking the machine"
    check_machine
    [ ! -e "$UNFINISHED" ] || CHANGED=1
    say "Installing"
    install_packages
    install_program
    switch_on_i2c
    switch_on_camera
    place_everything
    make_user
    write_overlay
    start_with_the_machine
    farewell
}

take_options() { # OPTION...
    local option
    for option in "$@"; do
        case $option in
            --dry-run) DRY_RUN=1 ;;
            --anyway) ANYWAY=1 ;;
            --purge) PURGE=1 ;;
            *) die "There is no option \"$option\"." "./setup.sh help" ;;
        esac
    done
    [ -z "$SYSTEM" ] || [ -n "$DRY_RUN" ] ||
        die "TRUELIGHT_ROOT is for --dry-run alone." "To install into another root, run setup.sh in it, by chroot."
}

# ---- System packages

install_packages() {
    local package missing=() there=()
    for package in "${BOX_PACKAGES[@]}"; do
        is_installed "$package" || missing+=("$package")
    done
    if [ ${#missing[@]} -eq 0 ]; then
        already "System packages: ${BOX_PACKAGES[*]}"
        return
    fi
    must "Reading the lists of the system's packages" apt-get update
    for package in "${missing[@]}"; do
        if [ -n "$DRY_RUN" ] || in_archive "$package"; then
            there+=("$package")
        else
            LEFT_OUT+=("$package")
        fi
    done
    [ ${#LEFT_OUT[@]} -eq 0 ] || unfit "The system's archive does not have ${LEFT_OUT[*]}." \
        "See that Raspberry Pi's archive is among the sources in /etc/apt/sources.list.d."
    [ ${#there[@]} -eq 0 ] || must "Installing system packages: ${there[*]}" \
        env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${there[@]}"
}

in_archive() { # PACKAGE
    [ -n "$(apt-cache madison "$1" 2>/dev/null)" ]
}

# ---- The program

install_program() {
    local limit
    [ "$ROOT" = "$OPT" ] || copy_program
    ROOT=$OPT VENV=$OPT/.venv
    export PIP_NO_CACHE_DIR=1 TRUELIGHT_MODELS=$OPT/third_party/blazeface
    make_venv "$VENV" "$SYSTEM_PYTHON" --system-site-packages
    # The system's modules, the camera's above all, were compiled for its numpy: a newer major
    # version in the environment would hide it and break them.
    limit=$("$SYSTEM_PYTHON" -c 'import numpy; print("numpy<%d" % (int(numpy.__version__.split(".")[0]) + 1))' 2>/dev/null || true)
    ensure_truelight ${limit:+"$limit"}
    ensure_detector
    place_link "$VENV/bin/truelight" "$SYSTEM/usr/local/bin/truelight"
}

copy_program() {
    local sum
    sum=$(pack | sha256sum)
    if [ "$sum" = "$(cat -- "$OPT/.copied" 2>/dev/null || true)" ]; then
        already "The program in $OPT"
        return
    fi
    must "Copying the program to $OPT" unpack "$sum"
    changed
}

changed() { # remembered until the end, should it not be reached this time
    CHANGED=1
    [ -n "$DRY_RUN" ] || touch -- "$UNFINISHED"
}

pack() { # the program as one archive on stdout, the same bytes from the same files
    local names=("${PROGRAM[@]}")
    # Fetched before, perhaps by a machine with a network.
    [ ! -d "$ROOT/third_party/blazeface" ] || names+=(third_party/blazeface)
    tar --create --directory="$ROOT" --sort=name --owner=0 --group=0 --mode=u=rwX,go=rX \
        --exclude='__pycache__' --exclude='*.egg-info' --exclude='samples/clips' --exclude='.fetched' \
        -- "${names[@]}"
}

unpack() { # SUM: beside what is there, then in its place; other bundles and the environment stay
    local new=$OPT/.new path
    rm -rf -- "$new"
    mkdir -p -- "$new" "$OPT/models" "$OPT/third_party"
    pack | tar --extract --directory="$new" --no-same-owner
    for path in "$new"/models/* "$new"/third_party/* "$new"/*; do
        case ${path#"$new"/} in models | third_party) continue ;; esac
        [ -e "$path" ] || continue
        keep_weights "$OPT/${path#"$new"/}" "$path"
        rm -rf -- "${OPT:?}/${path#"$new"/}"
        mv -- "$path" "$OPT/${path#"$new"/}"
    done
    rm -rf -- "$new"
    # The box may not write here, so what Python keeps for a quicker start is made now.
    "$SYSTEM_PYTHON" -m compileall -q "$OPT/edge"
    sync
    printf '%s\n' "$1" >"$OPT/.copied"
}

keep_weights() { # OLD NEW: what `thorough` fetched for a bundle stays, if its new version wants it
    local sum
    if [ -f "$1/tower.onnx" ] && [ ! -e "$2/tower.onnx" ]; then
        sum=$(sha256sum <"$1/tower.onnx" | cut -d ' ' -f 1)
        ! grep -qF -- "$sum" "$2/bundle.json" || ln -- "$1/tower.onnx" "$2/tower.onnx"
    fi
}

# ---- Settings of this machine

write_overlay() {
    if [ -e "$OVERLAY" ]; then
        already "Settings of this machine in $OVERLAY"
    else
        must "Writing $OVERLAY, for this machine's settings" \
            install -D -m 644 -- "$SOURCE/config/machine.yaml" "$OVERLAY"
    fi
}

# ---- The end

start_with_the_machine() {
    local unit
    for unit in $(units_to_enable); do
        if compgen -G "$SYSTEM/etc/systemd/system/*.wants/$unit" >/dev/null; then
            already "Starting $unit with the machine"
        else
            must "Starting $unit with the machine from now on" systemctl enable "$unit"
        fi
    done
}

farewell() {
    if [ -n "$DRY_RUN" ]; then
        say "Nothing was changed: this was a dry run."
        return
    fi
    if [ -n "$CHANGED" ] && [ -z "$REBOOT" ] && is_running; then
        must "Starting the box anew" systemctl restart truelight.service
    elif ! is_running; then
        REBOOT=1
    fi
    rm -f -- "$UNFINISHED"
    say "Truelight is installed."
    [ ${#LEFT_OUT[@]} -eq 0 ] || say "  Left out, and with it what needs it: ${LEFT_OUT[*]}"
    [ -z "$REBOOT" ] || say "  Restart the machine: sudo reboot"
    say "  When the display does not say \"ready\": sudo truelight doctor"
    say "  Settings of this machine: $OVERLAY, explained in $OPT/config/truelight.yaml"
}

is_running() { # the box, under a systemd that runs
    [ -d "$SYSTEM/run/systemd/system" ] && systemctl is-active --quiet truelight.service
}
