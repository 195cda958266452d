# shellcheck shell=bash
# Removes what install put into the system.

PURGE= # also settings, history and the user

command_uninstall() { # [--dry-run] [--purge]
    take_options "$@"
    [ -n "$DRY_RUN" ] || check_root uninstall
    cd /
    if [ -e "$OPT" ]; then
        say "Uninstalling"
        stop_units
        remove_placed
        ! boot_says '# Truelight begin' ||
            must "Removing Truelight's lines from $BOOT" boot_remove
        must "Removing the program, $OPT" rm -rf -- "$OPT"
        reload
    else
        say "Truelight is not installed: there is no $OPT."
    fi
    purge
    say "  Kept, since other programs may use them: system packages (${BOX_PACKAGES[*]}), I2C if raspi-config switched it on"
    [ -z "$DRY_RUN" ] || say "This was a dry run: nothing was changed."
}

stop_units() {
    local unit
    [ -f "$PLACED" ] || return 0
    while read -r unit; do
        must "Stopping $unit" stop_unit "$unit"
    done < <(sed -n 's:.*/etc/systemd/system/::p' "$PLACED")
}

stop_unit() { # UNIT: now and at the next boot; for a template, every instance
    case $1 in
        *@.*) set -- "${1/@./@*.}" ;;
        *) systemctl disable "$1" ;;
    esac
    [ ! -d /run/systemd/system ] || systemctl stop "$1"
}

remove_placed() {
    local target
    [ -f "$PLACED" ] || return 0
    while read -r target; do
        must "Removing $target" rm -f -- "$target"
    done <"$PLACED"
}

purge() {
    local folder user folders=("${OVERLAY%/*}" "$SYSTEM"/var/{lib/truelight,lib/truelight-web,spool/truelight})
    if [ -z "$PURGE" ]; then
        for folder in "${folders[@]}"; do
            [ ! -e "$folder" ] || say "  Kept: $folder"
        done
        say "  To remove settings and history as well: setup.sh uninstall --purge"
        return
    fi
    for folder in "${folders[@]}"; do
        [ ! -e "$folder" ] || must "Removing $folder" rm -rf -- "$folder"
    done
    for user in truelight truelight-decoder truelight-model truelight-web; do
        ! grep -q "^$user:" "$SYSTEM/etc/passwd" 2>/dev/null || must "Removing the user $user" userdel "$user"
    done
}
