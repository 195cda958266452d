"""Makes limits of time longer, in the program and in its tests: an emulated processor is slow.

Importing it does so, for what is imported afterwards. tests/vm/sitecustomize.py imports it into
every process of Python with tests/vm in PYTHONPATH.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

SLOWER = 20
"""How many times longer than on a machine of its own, beside other work."""


def lengthen(*names: str) -> Callable[[ModuleType], None]:
    """Numbers of a module, seconds."""

    def change(module: ModuleType) -> None:
        for name in names:
            setattr(module, name, SLOWER * getattr(module, name))

    return change


def _lengthen_limits(module: Any) -> None:
    """Those of a clip, but for one that a test makes short."""
    made, usual = module.Limits.__init__, module.Limits()

    def more_patient(self: Any, *arguments: Any, **named: Any) -> None:
        made(self, *arguments, **named)
        for name in ("silence", "patience", "cpu", "grace"):
            if getattr(self, name) >= getattr(usual, name):
                object.__setattr__(self, name, SLOWER * getattr(self, name))

    module.Limits.__init__ = more_patient


def _lengthen_waiting(module: Any) -> None:
    """The wait of tests for what happens elsewhere."""
    until, usual = module.until, module.until.__defaults__[0]

    def more_patient(condition: Any, seconds: float = usual, *what: Any, **named: Any) -> Any:
        return until(condition, SLOWER * seconds, *what, **named)

    module.until = more_patient


LIMITS: dict[str, Callable[[ModuleType], None]] = {
    "edge.scan.media.process": lengthen("_START_SECONDS"),
    "edge.scan.media.confinement": lengthen("_SECONDS"),
    "edge.scan.media.decoders": _lengthen_limits,
    "edge.scan.model.confined": lengthen("LOAD_SECONDS", "RUN_SECONDS", "_CALL_SECONDS"),
    "edge.scan.model.process": lengthen("_TRY_SECONDS", "UNIT_SECONDS"),
    "edge.scan.scanner": lengthen("_HASH_SECONDS"),
    "waiting": _lengthen_waiting,
}


class Patient(PathFinder):
    """Finds these modules and changes each when it has been loaded."""

    @classmethod
    def find_spec(cls, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        spec = super().find_spec(fullname, path, target) if fullname in LIMITS else None
        if spec and (loader := spec.loader):
            load = loader.exec_module

            def load_and_change(module: ModuleType) -> None:
                load(module)
                LIMITS[fullname](module)

            loader.exec_module = load_and_change  # type: ignore[method-assign]
        return spec


sys.meta_path.insert(0, Patient)
