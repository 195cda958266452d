#!/bin/bash
# The root of a Debian that stands in for the Pi's system: built once, then only looked at.
#
# root_ready [SUITE [ARCHITECTURE]]
#             makes it (of trixie and amd64) and sets $ROOT. It lies in $TRUELIGHT_VM, else in the
#             user's cache, and is made again when its inputs change.
# in_root     runs a command in it; what the command writes there is forgotten.

PACKAGES=(
    systemd systemd-sysv udev dbus kmod mount util-linux procps
    python3 python3-venv python3-dev python3-systemd python3-prctl
    python3-libcamera libcamera-tools libcamera-ipa
    gcc libc6-dev swig ca-certificates
    dosfstools exfatprogs ntfs-3g e2fsprogs
)
PICAMERA=picamera2==0.3.38
# Of the other roots: setup.sh installs into them what it needs.
FEW_PACKAGES=(
    systemd systemd-sysv udev dbus kmod mount util-linux procps
    python3 python3-venv ca-certificates
)
# For a machine of that architecture: little, and packed so that unpacking is quick.
KERNEL=(linux-image-arm64 initramfs-tools)
# shellcheck disable=SC2016 # mmdebstrap's shell expands it
INITRAMFS=(
    --essential-hook='mkdir -p "$1/etc/initramfs-tools/conf.d" "$1/usr/share/initramfs-tools/modules.d"'
    --essential-hook='printf "MODULES=list\nCOMPRESS=gzip\n" >"$1/etc/initramfs-tools/conf.d/small"'
    --essential-hook='printf "virtio_pci\nvirtio_mmio\nvirtio_blk\next4\n" >"$1/usr/share/initramfs-tools/modules.d/virtio"'
)

VM=$(dirname "${BASH_SOURCE[0]}")
REPOSITORY=$(cd "$VM/../.." && pwd)
CACHE=${TRUELIGHT_VM:-${XDG_CACHE_HOME:-$HOME/.cache}/truelight-vm}
CERTIFICATES=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}

root_ready() { # [SUITE [ARCHITECTURE]]
    local suite=${1:-trixie} architecture=${2:-amd64} packages=("${FEW_PACKAGES[@]}") made_from
    case $suite-$architecture in
        trixie-amd64)
            packages=("${PACKAGES[@]}")
            made_from=$({
                printf '%s\n' "${PACKAGES[@]}" "$PICAMERA"
                wanted
            } | sha256sum | cut -c 1-16)
            ROOT=$CACHE/trixie-$made_from
            ;;
        *)
            [ "$architecture" != arm64 ] || packages+=("${KERNEL[@]}")
            made_from=$(printf '%s\n' "${packages[@]}" | sha256sum | cut -c 1-16)
            ROOT=$CACHE/$suite-$architecture-$made_from
            ;;
    esac
    [ -d "$ROOT" ] && return
    mkdir -p "$CACHE"
    local half=$ROOT.half
    unmount_below "$half" # of a run that was ended
    rm -rf --one-file-system "$half"
    bootstrap "$suite" "$architecture" "$half" "${packages[@]}"
    [ "$suite-$architecture" != trixie-amd64 ] || python_packages "$half"
    mv "$half" "$ROOT"
}

unmount_below() { # FOLDER
    awk -v below="$1/" 'index($5, below) == 1 {print $5}' /proc/self/mountinfo | tac |
        xargs --no-run-if-empty umount --lazy
}

bootstrap() { # SUITE ARCHITECTURE FOLDER PACKAGE...
    local suite=$1 architecture=$2 folder=$3 options=()
    shift 3
    [ "$architecture" != arm64 ] || options=("${INITRAMFS[@]}")
    nice mmdebstrap --quiet --variant=minbase --mode=root --architectures="$architecture" \
        --aptopt='APT::Install-Recommends "false"' \
        --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='Acquire::Check-Date "false"' \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' "${options[@]}" \
        --include="$(
            IFS=,
            echo "$*"
        )" "$suite" "$folder"
    # A container's system gets its name, and its own tty, from outside.
    rm -f "$folder/etc/hostname" "$folder/etc/resolv.conf"
    # Nothing of it may run by the clock.
    rm -f "$folder"/etc/systemd/system/timers.target.wants/*
}

# What the project needs at run time, one requirement a line.
wanted() {
    python3 - "$REPOSITORY/pyproject.toml" <<'PYTHON'
import sys, tomllib
print(*tomllib.load(open(sys.argv[1], "rb"))["project"]["dependencies"], sep="\n")
PYTHON
}

python_packages() {
    local requirements
    mapfile -t requirements < <(wanted)
    contained --directory="$1" --bind-ro="$CERTIFICATES:/run/certificates" \
        --setenv=SSL_CERT_FILE=/run/certificates --setenv=PYPI=1 --setenv=PIP_NO_CACHE_DIR=1 \
        /bin/sh -euc '
            python3 -m venv --system-site-packages /opt/python
            /opt/python/bin/pip install --quiet "$@"' - "$PICAMERA" "lgpio>=0.2.2" "${requirements[@]}"
}

contained() {
    nice systemd-nspawn --quiet --register=no --keep-unit --as-pid2 "$@"
}

in_root() {
    contained --directory="$ROOT" --volatile=overlay --bind-ro="$REPOSITORY:/opt/truelight" "$@"
}
