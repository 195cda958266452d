# shellcheck shell=bash
# Is this a machine that can become the box? One clear sentence if it is not, before anything is done.

ANYWAY=                # install --anyway: what does not fit is said, and left out
ROOM_FIRST=1500        # MB, for the packages and the program
ROOM_AGAIN=300         # MB, when they are there already
LEAST_MEMORY=900       # MB; judging a large clip takes about 650

unfit() { # MESSAGE REMEDY: what --anyway passes over
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

# The kernel may be one of 64 bit with a system of 32 bit above it: dpkg knows what counts.
check_architecture() {
    local architecture
    architecture=$(dpkg --print-architecture 2>/dev/null || uname -m)
    case $architecture in
        arm64 | aarch64) ;;
        armhf | armel | armv*) die "This system is one of 32 bit ($architecture), and Truelight needs 64 bit." \
            "Write Raspberry Pi OS (64-bit) onto the card." ;;
        *) unfit "This is no Raspberry Pi: its architecture is $architecture." \
            "Without a Pi: ./setup.sh run. To make another machine a box, one of sticks and folders: install --anyway" ;;
    esac
}

check_release() {
    local id='' codename='' name='no system with an os-release file'
    if [ -r "$SYSTEM/etc/os-release" ]; then
        { read -r id && read -r codename && read -r name; } < <(
            # shellcheck disable=SC1091
            . "$SYSTEM/etc/os-release"
            printf '%s\n' "${ID:-}" "${VERSION_CODENAME:-}" "${PRETTY_NAME:-without a name}"
        ) || true
    fi
    case $codename in
        bookworm | trixie) ;;
        buster | bullseye) die "This is $name, which is too old." "$(wanted_release)" ;;
        *) unfit "This is $name, and Truelight knows bookworm and trixie." "$(wanted_release)" ;;
    esac
    # Raspberry Pi OS of 64 bit calls itself Debian; this file tells it from the real one.
    if [ "$id" != raspbian ] && [ ! -e "$SYSTEM/etc/rpi-issue" ]; then
        unfit "This is $name, not Raspberry Pi OS, whose archive alone has the camera's and the pins' packages." \
            "$(wanted_release)"
    fi
}

wanted_release() { printf '%s' "Write Raspberry Pi OS (64-bit), bookworm or trixie, onto the card."; }

check_root() { # COMMAND
    [ "$(id -u)" = 0 ] || die "This changes the system, and only root may do that." "sudo $0 $1"
}

board() { # prints the model, as in "Raspberry Pi 5 Model B Rev 1.0", or nothing
    tr -d '\0' 2>/dev/null <"$SYSTEM/proc/device-tree/model" || true
}

check_board() {
    local board
    board=$(board)
    case $board in
        'Raspberry Pi '*) say "  Machine: $board" ;;
        *) unfit "This machine is ${board:-no Raspberry Pi}: buttons and lamps have no pins here." \
            "Install on a Raspberry Pi 4 or 5. To do without the pins: install --anyway" ;;
    esac
}

check_memory() {
    local kilobytes
    kilobytes=$(sed -n 's/^MemTotal: *\([0-9]*\) kB$/\1/p' "$SYSTEM/proc/meminfo" 2>/dev/null || true)
    [ -n "$kilobytes" ] && [ $((kilobytes / 1024)) -lt "$LEAST_MEMORY" ] || return 0
    unfit "This machine has $((kilobytes / 1024)) MB of memory, and a large clip takes 650." \
        "Use a Raspberry Pi with 1 GB or more."
}

check_disk() {
    local free need=$ROOM_FIRST folder=$SYSTEM/opt
    [ ! -e "$SYSTEM$OPT/.venv/.installed" ] || need=$ROOM_AGAIN
    [ -d "$folder" ] || folder=${SYSTEM:-/}
    free=$(df -Pk -- "$folder" | tail -n 1 | tr -s ' ' | cut -d ' ' -f 4)
    [ $((free / 1024)) -ge "$need" ] ||
        die "There are $((free / 1024)) MB free in $folder, and $need are needed." "Delete something, or use a larger card."
}
