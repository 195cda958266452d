# shellcheck shell=bash
# Makes this machine the box. A second run does only what is not done yet.

OPT=$SYSTEM/opt/truelight
PLACED=$OPT/.placed # lists the files outside OPT, for uninstall
UNFINISHED=$OPT/.unfinished
BOOT=$SYSTEM/boot/firmware/config.txt
OVERLAY=$SYSTEM/etc/truelight/truelight.yaml

PROGRAM=(CHANGELOG.md LICENSE NOTICE README.md config constraints docs edge export models pyproject.toml
    samples setup setup.sh systemd)

# The modules for the journal, the pins and the camera come from the system: the package index has
# only their source, an empty package for Python 3.13, or nothing for a Pi.
SYSTEM_PYTHON=/usr/bin/python3
BOX_PACKAGES=(python3-venv python3-systemd python3-lgpio python3-picamera2)

SOURCE=$ROOT # the folder to install from
TARGETS=()  # the files placed outside OPT
CHANGED=    # does a running box have to be restarted?
REBOOT=     # does the machine have to be restarted?
LEFT_OUT=() # packages that are missing and skipped by --anyway

command_install() { # [--dry-run] [--anyway] [--without-second]
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
            --without-second) WITHOUT_SECOND=1 ;;
            *) die "There is no option \"$option\"." "./setup.sh help" ;;
        esac
    done
    [ -z "$SYSTEM" ] || [ -n "$DRY_RUN" ] ||
        die "TRUELIGHT_ROOT works only with --dry-run." "To install into another root folder, run setup.sh inside it with chroot."
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
    must "Updating the system's package lists" apt-get update
    for package in "${missing[@]}"; do
        if [ -n "$DRY_RUN" ] || in_archive "$package"; then
            there+=("$package")
        else
            LEFT_OUT+=("$package")
        fi
    done
    [ ${#LEFT_OUT[@]} -eq 0 ] || unfit "The system's archive does not have ${LEFT_OUT[*]}." \
        "Make sure that Raspberry Pi's archive is listed in /etc/apt/sources.list.d."
    [ ${#there[@]} -eq 0 ] || must "Installing system packages: ${there[*]}" \
        env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${there[@]}"
}

in_archive() { # PACKAGE
    [ -n "$(apt-cache madison "$1" 2>/dev/null)" ]
}

# ---- The program

install_program() {
    [ "$ROOT" = "$OPT" ] || copy_program
    ROOT=$OPT VENV=$OPT/.venv
    export PIP_NO_CACHE_DIR=1 TRUELIGHT_MODELS=$OPT/third_party/blazeface
    make_venv "$VENV" "$SYSTEM_PYTHON" --system-site-packages
    ensure_truelight
    ensure_detector
    SECOND=$OPT/models/thorough
    ensure_second || true
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

changed() { # remembered in a file until the end, in case this run is interrupted
    CHANGED=1
    [ -n "$DRY_RUN" ] || touch -- "$UNFINISHED"
}

pack() { # the program as one archive on stdout; the same files give the same bytes
    local names=("${PROGRAM[@]}")
    # Models that were fetched earlier, perhaps on a machine with a network.
    [ ! -d "$ROOT/third_party/blazeface" ] || names+=(third_party/blazeface)
    tar --create --directory="$ROOT" --sort=name --owner=0 --group=0 --mode=u=rwX,go=rX \
        --exclude='__pycache__' --exclude='*.egg-info' --exclude='samples/clips' --exclude='.fetched' \
        -- "${names[@]}"
}

unpack() { # SUM: first beside the old files, then in their place; other bundles and .venv stay
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
    # The box may not write here, so Python's compiled files are written now.
    "$SYSTEM_PYTHON" -m compileall -q "$OPT/edge"
    sync
    printf '%s\n' "$1" >"$OPT/.copied"
}

keep_weights() { # OLD NEW: keeps the weights that `thorough` fetched, if the new bundle uses them
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
        must "Writing $OVERLAY, for the settings of this machine" \
            install -D -m 644 -- "$SOURCE/config/machine.yaml" "$OVERLAY"
    fi
}

# ---- The end

start_with_the_machine() {
    local unit
    for unit in $(units_to_enable); do
        if compgen -G "$SYSTEM/etc/systemd/system/*.wants/$unit" >/dev/null; then
            already "Starting $unit at boot"
        else
            must "Enabling $unit, which starts at boot" systemctl enable "$unit"
        fi
    done
}

farewell() {
    if [ -n "$DRY_RUN" ]; then
        say "This was a dry run: nothing was changed."
        return
    fi
    if [ -n "$CHANGED" ] && [ -z "$REBOOT" ] && is_running; then
        must "Restarting the service" systemctl restart truelight-decoder.socket truelight-model.socket truelight.service
        must "Restarting the page, if it is on" systemctl try-restart truelight-web.service
    elif ! is_running; then
        REBOOT=1
    fi
    rm -f -- "$UNFINISHED"
    say "Truelight is installed."
    [ ${#LEFT_OUT[@]} -eq 0 ] || say "  Missing, and skipped with the parts that need it: ${LEFT_OUT[*]}"
    [ -z "$REBOOT" ] || say "  Restart the machine: sudo reboot"
    say "  If the display does not show \"Ready\": sudo truelight doctor"
    say "  Settings of this machine: $OVERLAY; $OPT/config/truelight.yaml explains them"
}

is_running() { # does the service run, under a systemd that runs?
    [ -d "$SYSTEM/run/systemd/system" ] && systemctl is-active --quiet truelight.service
}
