# shellcheck shell=bash
# Checks, before anything is changed, whether this machine can become the box.

ANYWAY=                # install --anyway: missing parts are reported and skipped
ROOM_FIRST=1500        # MB, for the packages and the program
ROOM_AGAIN=300         # MB, when they are installed already
LEAST_MEMORY=900       # MB; judging a large clip takes about 650

unfit() { # MESSAGE REMEDY: ends setup.sh; with --anyway, a note
    [ -n "$ANYWAY" ] || die "$@"
    say "  Note: $1"
}

check_machine() {
    check_architecture
    check_release
    [ -n "$DRY_RUN" ] || check_root install
    check_board
    check_memory
    check_disk
}

# The kernel may be 64-bit and the system 32-bit: dpkg knows the system's architecture.
check_architecture() {
    local architecture
    architecture=$(dpkg --print-architecture 2>/dev/null || uname -m)
    case $architecture in
        arm64 | aarch64) ;;
        armhf | armel | armv*) die "This system is 32-bit ($architecture); Truelight needs a 64-bit one." \
            "Write Raspberry Pi OS (64-bit) onto the card." ;;
        *) unfit "This is not a Raspberry Pi: its architecture is $architecture." \
            "To use Truelight in a terminal: ./setup.sh run. To install a box without button and lamps: install --anyway" ;;
    esac
}

check_release() {
    local id='' codename='' name='a system without an os-release file'
    if [ -r "$SYSTEM/etc/os-release" ]; then
        { read -r id && read -r codename && read -r name; } < <(
            # shellcheck disable=SC1091
            . "$SYSTEM/etc/os-release"
            printf '%s\n' "${ID:-}" "${VERSION_CODENAME:-}" "${PRETTY_NAME:-a system without a name}"
        ) || true
    fi
    case $codename in
        bookworm | trixie) ;;
        buster | bullseye) die "This is $name, which is too old." "$(wanted_release)" ;;
        *) unfit "This is $name; Truelight supports bookworm and trixie." "$(wanted_release)" ;;
    esac
    # 64-bit Raspberry Pi OS calls itself Debian; only Raspberry Pi OS has this file.
    if [ "$id" != raspbian ] && [ ! -e "$SYSTEM/etc/rpi-issue" ]; then
        unfit "This is $name, not Raspberry Pi OS. Only its archive has the packages for the camera and the pins." \
            "$(wanted_release)"
    fi
}

wanted_release() { printf '%s' "Write Raspberry Pi OS (64-bit), bookworm or trixie, onto the card."; }

check_root() { # COMMAND
    [ "$(id -u)" = 0 ] || die "Only root may change the system." "sudo $0 $1"
}

board() { # prints the model, as in "Raspberry Pi 5 Model B Rev 1.0", or nothing
    tr -d '\0' 2>/dev/null <"$SYSTEM/proc/device-tree/model" || true
}

check_board() {
    local board
    board=$(board)
    case $board in
        'Raspberry Pi '*) say "  Machine: $board" ;;
        *) unfit "This machine is ${board:-not a Raspberry Pi}; it has no pins for the button and the lamps." \
            "Install on a Raspberry Pi 4 or 5. To install without button and lamps: install --anyway" ;;
    esac
}

check_memory() {
    local kilobytes
    kilobytes=$(sed -n 's/^MemTotal: *\([0-9]*\) kB$/\1/p' "$SYSTEM/proc/meminfo" 2>/dev/null || true)
    [ -n "$kilobytes" ] && [ $((kilobytes / 1024)) -lt "$LEAST_MEMORY" ] || return 0
    unfit "This machine has $((kilobytes / 1024)) MB of memory; the minimum is $LEAST_MEMORY MB." \
        "Use a Raspberry Pi with 1 GB or more."
}

check_disk() {
    local free need=$ROOM_FIRST folder=$SYSTEM/opt
    [ ! -e "$SYSTEM$OPT/.venv/.installed" ] || need=$ROOM_AGAIN
    [ -d "$folder" ] || folder=${SYSTEM:-/}
    free=$(df -Pk -- "$folder" | tail -n 1 | tr -s ' ' | cut -d ' ' -f 4)
    [ $((free / 1024)) -ge "$need" ] ||
        die "$folder has $((free / 1024)) MB free; the minimum is $need MB." "Delete files, or use a larger card."
}
