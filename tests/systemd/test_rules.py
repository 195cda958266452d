"""Which devices udev gives to us."""

import pytest
import udev
from frontdoor import ROOT

RULES = udev.parse(ROOT / "systemd" / "99-truelight.rules")
PARTITION = {
    "ACTION": "add",
    "SUBSYSTEM": "block",
    "ENV{ID_BUS}": "usb",
    "ENV{DEVTYPE}": "partition",
    "ENV{ID_PART_TABLE_TYPE}": "dos",
    "ENV{ID_PART_ENTRY_TYPE}": "0xc",
    "ENV{ID_FS_USAGE}": "filesystem",
    "ENV{ID_FS_TYPE}": "vfat",
    "ATTR{size}": "62500000",
}
DISK = {
    key: value
    for key, value in (PARTITION | {"ENV{DEVTYPE}": "disk"}).items()
    if "ID_PART" not in key
}
ESP = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"


@pytest.mark.parametrize(
    "device",
    [
        pytest.param(PARTITION, id="a partition"),
        pytest.param(DISK, id="a disk without partitions"),
        pytest.param(DISK | {"ACTION": "change"}, id="a card that was put in"),
        pytest.param(PARTITION | {"ENV{ID_FS_TYPE}": "", "ENV{ID_FS_USAGE}": ""}, id="damaged"),
        pytest.param(PARTITION | {"ENV{ID_FS_TYPE}": "crypto_LUKS"}, id="encrypted"),
    ],
)
def test_sticks_are_taken(device: udev.Facts) -> None:
    given = udev.apply(RULES, device)
    assert given["ENV{SYSTEMD_WANTS}"] == "truelight-stick@%k.service"
    assert given["TAG"] == "systemd"
    assert given["ENV{UDISKS_IGNORE}"] == "1"


@pytest.mark.parametrize(
    "device",
    [
        pytest.param(PARTITION | {"ACTION": "remove"}, id="removed"),
        pytest.param(PARTITION | {"ENV{ID_BUS}": ""}, id="the box's own card"),
        pytest.param(PARTITION | {"ENV{ID_BUS}": "ata"}, id="a disk inside"),
        pytest.param(PARTITION | {"SUBSYSTEM": "usb"}, id="no storage"),
        pytest.param(DISK | {"ENV{ID_PART_TABLE_TYPE}": "gpt"}, id="a disk with partitions"),
        pytest.param(DISK | {"ATTR{size}": "0"}, id="a reader without a card"),
        pytest.param(PARTITION | {"ENV{ID_PART_ENTRY_TYPE}": ESP}, id="EFI"),
        pytest.param(PARTITION | {"ENV{ID_PART_ENTRY_TYPE}": "0x5"}, id="extended"),
        pytest.param(PARTITION | {"ENV{ID_FS_TYPE}": "swap"}, id="swap"),
    ],
)
def test_others_are_left_alone(device: udev.Facts) -> None:
    assert udev.apply(RULES, device) == {}
