# shellcheck shell=bash
# Real USB sticks: QEMU plugs them in, Debian's kernel and udev find them, every kind of file
# system that is promised. tests/vm/stick.py plugs and pulls. Needs qemu-system-x86, and minutes.

# shellcheck source=tests/vm/box.sh
. "$VM/box.sh"
# shellcheck source=tests/vm/machine.sh
. "$VM/machine.sh"

trap 'umount --lazy "$BOX/tree" 2>/dev/null || true' EXIT
box_ready stick

# ---- A kernel, and a machine

# shellcheck disable=SC2016 # the system that gets the kernel knows its name
[ -e "$BOX/tree/boot/small.img" ] ||
    in_box --setenv=DEBIAN_FRONTEND=noninteractive /bin/sh -euc '
        apt-get install --quiet --yes --no-install-recommends linux-image-amd64 initramfs-tools
        printf "virtio_pci\nvirtio_blk\next4\n" >>/etc/initramfs-tools/modules
        sed -i "s/^MODULES=.*/MODULES=list/" /etc/initramfs-tools/initramfs.conf
        mkinitramfs -o /boot/small.img "$(ls /lib/modules)"'

machine_ready "$BOX" "$BOX/tree"
cp "$BOX/tree/boot/small.img" "$BOX/small.img"

# 200 pulls: PULLS=200 LONGEST=10 tests/vm/run stick
python3 -B "$VM/stick.py" "$BOX" "${PULLS:-12}" "${LONGEST:-25}"
