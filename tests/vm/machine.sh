# shellcheck shell=bash
# What a virtual machine needs beside a system: somebody in it who does what is asked over a shared
# folder, an image of its disk, and its kernel. tests/vm/machine.py starts it.
#
# machine_ready FOLDER TREE  of the system in TREE, which has a kernel with an initramfs that finds
#                            a virtio disk: FOLDER/vm.img, vmlinuz, small.img and share/

machine_ready() { # FOLDER TREE
    local folder=$1 tree=$2
    mkdir -p "$folder/share"
    rm -f "$folder/share/"*
    cat >"$tree/usr/local/sbin/asked" <<'ASKED'
#!/bin/sh
mkdir -p /host
mount -t 9p -o trans=virtio,version=9p2000.L host /host || exit 1
while sleep 0.2; do
    [ -e /host/ask ] || continue
    mv /host/ask /host/asked
    sh -eu /host/asked >/host/output 2>&1
    echo $? >/host/status.new
    mv /host/status.new /host/status
done
ASKED
    chmod +x "$tree/usr/local/sbin/asked"
    printf '%s\n' '[Service]' 'ExecStart=/usr/local/sbin/asked' \
        >"$tree/etc/systemd/system/asked.service"
    # An emulated machine on a busy one is slow.
    mkdir -p "$tree/etc/systemd/system/truelight.service.d"
    printf '%s\n' '[Service]' 'TimeoutStartSec=1800' 'WatchdogSec=600' \
        >"$tree/etc/systemd/system/truelight.service.d/patient.conf"
    mkdir -p "$tree/etc/systemd/system/multi-user.target.wants"
    ln -sf ../asked.service "$tree/etc/systemd/system/multi-user.target.wants/asked.service"

    rm -f "$folder/vm.img"
    truncate --size=6G "$folder/vm.img"
    mke2fs -q -t ext4 -O ^has_journal -E lazy_itable_init=1 -d "$tree" "$folder/vm.img"
    cp "$tree"/boot/vmlinuz-* "$folder/vmlinuz"
}
