# shellcheck shell=bash
# Places and removes the files outside the program's folder: units, rules, the boot configuration.

place_everything() {
    local file target
    for file in "$SOURCE"/systemd/*; do
        target=$(target_of "${file##*/}")
        [ -z "$target" ] || place "$file" "$SYSTEM$target"
    done
    place "$SOURCE/setup/modules.conf" "$SYSTEM/etc/modules-load.d/truelight.conf"
    remove_obsolete
    [ "$(printf '%s\n' "${TARGETS[@]}")" = "$(cat -- "$PLACED" 2>/dev/null || true)" ] ||
        must "Writing the list of these files" write_list
}

target_of() { # NAME: the place of a file of systemd/; nothing for files that are run from OPT
    case $1 in
        *.service | *.path | *.socket | *.slice) printf /etc/systemd/system/%s "$1" ;;
        *.rules) printf /etc/udev/rules.d/%s "$1" ;;
        sysusers.conf | tmpfiles.conf) printf /etc/%s.d/truelight.conf "${1%.conf}" ;;
        *-halted) printf /usr/lib/systemd/system-shutdown/%s "$1" ;;
    esac
}

place() { # FILE TARGET
    TARGETS+=("$2")
    if cmp -s -- "$1" "$2"; then
        already "$2"
        return
    fi
    must "Writing $2" install_whole "$1" "$2"
    changed
}

install_whole() { # FILE TARGET
    local mode=644
    [ ! -x "$1" ] || mode=755
    mkdir -p -- "${2%/*}"
    install -m "$mode" -- "$1" "$2.new"
    mv -f -- "$2.new" "$2"
}

place_link() { # FILE TARGET
    TARGETS+=("$2")
    if [ "$(readlink -- "$2" || true)" = "$1" ]; then
        already "$2"
        return
    fi
    must "Linking $2 to $1" ln -sfn -- "$1" "$2"
    changed
}

remove_obsolete() { # files that an earlier version placed and this one does not
    local target kept
    [ -f "$PLACED" ] || return 0
    # No pipe into grep -q: it may end before its writer, which would count as a failure.
    kept=$(printf '%s\n' "${TARGETS[@]}")
    while read -r target; do
        grep -qxF -- "$target" <<<"$kept" && continue
        must "Removing $target, which is no longer needed" rm -f -- "$target"
        changed
    done <"$PLACED"
}

write_list() {
    printf '%s\n' "${TARGETS[@]}" >"$PLACED.new"
    mv -f -- "$PLACED.new" "$PLACED"
}

units_to_enable() { # units with WantedBy=, except templates, and the page, which its owner switches on
    local file
    for file in "$SOURCE"/systemd/*.service "$SOURCE"/systemd/*.path \
        "$SOURCE"/systemd/*.socket; do
        case $file in *@.* | */truelight-web.service) continue ;; esac
        grep -q '^WantedBy=' "$file" 2>/dev/null && printf '%s\n' "${file##*/}"
    done
    return 0
}

make_user() {
    if [ -z "$CHANGED" ] && grep -q '^truelight-model:' "$SYSTEM/etc/passwd" 2>/dev/null; then
        already "Truelight's users, and their folders"
        return
    fi
    must "Creating Truelight's users" systemd-sysusers "$SYSTEM/etc/sysusers.d/truelight.conf"
    must "Creating their folders" systemd-tmpfiles --create "$SYSTEM/etc/tmpfiles.d/truelight.conf"
    reload
}

reload() { # where systemd runs, and in a dry run
    [ -n "$DRY_RUN" ] || [ -d /run/systemd/system ] || return 0
    must "Reloading systemd and udev" reload_managers
}

reload_managers() {
    systemctl daemon-reload
    [ ! -e /run/udev/control ] || udevadm control --reload
}

# ---- The boot configuration. Each change is a step of its own and is reported.

switch_on_i2c() {
    if boot_says '(device_tree_param|dtparam)=([^,]*,)*i2c(_arm)?(=(on|true|yes|1))?(,.*)?'; then
        already "I2C, for the display"
    elif [ -x "$SYSTEM/usr/bin/raspi-config" ]; then
        must "Switching I2C on, for the display: raspi-config nonint do_i2c 0" raspi-config nonint do_i2c 0
        REBOOT=1
    elif [ -f "$BOOT" ]; then
        must "Switching I2C on, for the display: dtparam=i2c_arm=on in $BOOT" boot_add dtparam=i2c_arm=on
        REBOOT=1
    else
        unfit "I2C cannot be switched on: there is no $BOOT." "$(wanted_release)"
    fi
}

switch_on_camera() {
    if boot_says 'camera_auto_detect=1' || boot_says 'dtoverlay=(imx|ov)[0-9].*'; then
        already "The camera"
    elif [ -f "$BOOT" ]; then
        must "Switching the camera on: camera_auto_detect=1 in $BOOT" boot_add camera_auto_detect=1
        REBOOT=1
    else
        unfit "The camera cannot be switched on: there is no $BOOT." "$(wanted_release)"
    fi
}

boot_says() { # PATTERN: is there such a line?
    grep -Eqx -- "$1[[:space:]]*" "$BOOT" 2>/dev/null
}

boot_add() { # LINE: in a block of its own, for every model, which uninstall finds
    {
        sed -e '$a\' -- "$BOOT" # ends the last line with a newline
        printf '# Truelight begin\n[all]\n%s\n# Truelight end\n' "$1"
    } >"$BOOT.new"
    sync -- "$BOOT.new"
    mv -f -- "$BOOT.new" "$BOOT"
}

boot_remove() { # our blocks
    sed -e '/^# Truelight begin$/,/^# Truelight end$/d' -- "$BOOT" >"$BOOT.new"
    sync -- "$BOOT.new"
    mv -f -- "$BOOT.new" "$BOOT"
}
