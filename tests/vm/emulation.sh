# shellcheck shell=bash
# Programs for arm64 run here as if they were this machine's, by qemu-user-static.
#
# emulation_begins  tells the kernel so, unless it knows
# emulation_ends    takes it back, if emulation_begins did it

BINFMT=/proc/sys/fs/binfmt_misc
EMULATOR=/usr/bin/qemu-aarch64-static
EMULATED=truelight-aarch64
EMULATION_IS_OURS=
BINFMT_IS_OURS=

emulation_begins() {
    if [ ! -e "$BINFMT/register" ]; then
        mount -t binfmt_misc binfmt_misc "$BINFMT"
        BINFMT_IS_OURS=1
    fi
    ! grep -qs aarch64 "$BINFMT"/*aarch64* || return 0
    # The flags: open the emulator now, for roots that lack it, and keep the rights of the program.
    printf '%s' ":$EMULATED:M::" \
        '\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:' \
        '\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:' \
        "$EMULATOR:OCF" >"$BINFMT/register"
    EMULATION_IS_OURS=1
}

emulation_ends() {
    [ -z "$EMULATION_IS_OURS" ] || echo -1 >"$BINFMT/$EMULATED"
    [ -z "$BINFMT_IS_OURS" ] || umount "$BINFMT"
}

# What the Pi's kernel says of its processor: libraries ask it, and the host's answer is another's.
cpuinfo() { # PART, as in 0xd08 (Pi 4) or 0xd0b (Pi 5)
    local number features='fp asimd evtstrm crc32 cpuid'
    [ "$1" = 0xd08 ] || features='fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp'
    for number in 0 1 2 3; do
        printf 'processor\t: %s\nBogoMIPS\t: 108.00\nFeatures\t: %s\n' "$number" "$features"
        printf 'CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x0\n'
        printf 'CPU part\t: %s\nCPU revision\t: 3\n\n' "$1"
    done
}
