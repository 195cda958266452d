# shellcheck shell=bash
# Real USB sticks: QEMU plugs them in, Debian's kernel and udev find them, every kind of file
# system that is promised. tests/vm/stick.py plugs and pulls. Needs qemu-system-x86, and minutes.

# shellcheck source=tests/vm/box.sh
. "$VM/box.sh"

trap 'umount --lazy "$BOX/tree" 2>/dev/null || true' EXIT
box_ready stick

# ---- A kernel, and somebody in the system who does what is asked over a shared folder

# shellcheck disable=SC2016 # the system that gets the kernel knows its name
[ -e "$BOX/tree/boot/small.img" ] ||
    in_box --setenv=DEBIAN_FRONTEND=noninteractive /bin/sh -euc '
        apt-get install --quiet --yes --no-install-recommends linux-image-amd64 initramfs-tools
        printf "virtio_pci\nvirtio_blk\next4\n" >>/etc/initramfs-tools/modules
        sed -i "s/^MODULES=.*/MODULES=list/" /etc/initramfs-tools/initramfs.conf
        mkinitramfs -o /boot/small.img "$(ls /lib/modules)"'

mkdir -p "$BOX/share"
rm -f "$BOX/share/"*
cat >"$BOX/tree/usr/local/sbin/asked" <<'ASKED'
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
chmod +x "$BOX/tree/usr/local/sbin/asked"
printf '%s\n' '[Service]' 'ExecStart=/usr/local/sbin/asked' \
    >"$BOX/tree/etc/systemd/system/asked.service"
mkdir -p "$BOX/tree/etc/systemd/system/multi-user.target.wants"
ln -sf ../asked.service "$BOX/tree/etc/systemd/system/multi-user.target.wants/asked.service"

rm -f "$BOX/vm.img"
truncate --size=6G "$BOX/vm.img"
mke2fs -q -t ext4 -O ^has_journal -E lazy_itable_init=1 -d "$BOX/tree" "$BOX/vm.img"
cp "$BOX"/tree/boot/vmlinuz-* "$BOX/vmlinuz"
cp "$BOX/tree/boot/small.img" "$BOX/small.img"

python3 -B "$VM/stick.py" "$BOX"
