# shellcheck shell=bash
# What a virtual machine needs beside a system: somebody in it who does what is asked over a port
# (tests/vm/asked.py), an image of its disk, and its kernel. tests/vm/machine.py starts it.
#
# machine_ready FOLDER TREE  of the system in TREE, which has a kernel with an initramfs that finds
#                            a virtio disk: FOLDER/vm.img, vmlinuz and small.img

machine_ready() { # FOLDER TREE
    local folder=$1 tree=$2
    install -D -m 644 "$VM/asked.py" "$tree/usr/local/lib/asked.py"
    printf '%s\n' '[Service]' 'ExecStart=/usr/bin/python3 -IB /usr/local/lib/asked.py' \
        Restart=on-failure RestartSec=1 >"$tree/etc/systemd/system/asked.service"
    mkdir -p "$tree/etc/systemd/system/multi-user.target.wants"
    ln -sf ../asked.service "$tree/etc/systemd/system/multi-user.target.wants/asked.service"

    rm -f "$folder/vm.img"
    truncate --size=6G "$folder/vm.img"
    mke2fs -q -t ext4 -O ^has_journal -E lazy_itable_init=1 -d "$tree" "$folder/vm.img"
    cp "$tree"/boot/vmlinuz-* "$folder/vmlinuz"
}

# An emulated machine on a busy one is slow, where its clock goes by real time.
machine_patient() { # TREE
    mkdir -p "$1/etc/systemd/system/truelight.service.d"
    printf '%s\n' '[Service]' 'TimeoutStartSec=1800' 'WatchdogSec=600' \
        >"$1/etc/systemd/system/truelight.service.d/patient.conf"
}
