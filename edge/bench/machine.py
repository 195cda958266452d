"""The machine that is measured: its processor, memory, temperature and throttling."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import onnxruntime

from edge import __version__
from edge.box.health import read_celsius, read_throttled, throttled_words

CPUINFO: Final = Path("/proc/cpuinfo")
MODEL: Final = Path("/proc/device-tree/model")

INT8_INSTRUCTIONS: Final = (
    *("avx2", "avx512f", "avx_vnni", "avx512_vnni", "amx_int8"),
    *("asimddp", "i8mm"),
)
"""Those that make int8 fast, as Linux names them."""


@dataclass(frozen=True)
class Machine:
    """What the figures depend on."""

    model: str
    """The board, such as "Raspberry Pi 5 Model B Rev 1.0"; empty on a PC."""
    processor: str
    instructions: tuple[str, ...]
    """Of `INT8_INSTRUCTIONS`, those that it has."""
    cores: int
    """That this process may use."""
    memory_mb: int
    architecture: str
    python: str
    onnxruntime: str
    truelight: str


@dataclass(frozen=True)
class Heat:
    """Temperature and throttling at one moment; None or empty where there is no sensor."""

    celsius: float | None
    throttled: tuple[str, ...] | None


def read_machine(cpuinfo: Path = CPUINFO, model: Path = MODEL) -> Machine:
    """Ask this machine."""
    facts = _facts(cpuinfo)
    flags = facts.get("flags", facts.get("Features", "")).split()
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return Machine(
        model=_text(model).rstrip("\0").strip(),
        processor=facts.get("model name") or _arm_name(facts) or platform.machine(),
        instructions=tuple(name for name in INT8_INSTRUCTIONS if name in flags),
        cores=len(os.sched_getaffinity(0)),
        memory_mb=pages * size // 1_000_000,
        architecture=platform.machine(),
        python=platform.python_version(),
        onnxruntime=onnxruntime.__version__,
        truelight=__version__,
    )


def read_heat() -> Heat:
    """Ask the sensors; takes up to two seconds where a Pi's firmware does not answer."""
    bits = read_throttled()
    return Heat(read_celsius(), None if bits is None else throttled_words(bits))


def _facts(cpuinfo: Path) -> dict[str, str]:
    lines = (line.partition(":") for line in _text(cpuinfo).splitlines())
    return {key.strip(): value.strip() for key, _, value in lines}


def _arm_name(facts: dict[str, str]) -> str:
    """ARM's part number, where Linux gives no name."""
    parts = {"0xd03": "Cortex-A53", "0xd08": "Cortex-A72", "0xd0b": "Cortex-A76"}
    part = facts.get("CPU part", "")
    return parts.get(part, f"ARM part {part}" if part else "")


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
