"""The second model: found at start, loaded when it is first needed, unloaded if memory is tight.

Another model takes memory, so it is loaded for the first clip in doubt. It stays loaded; while it
has nothing to do it is unloaded if memory becomes tight.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from edge.errors import TruelightError
from edge.language import N_
from edge.scan.frames import Crops, Floats, Pixels
from edge.scan.model.bundle_info import TOWER_BATCH, BundleInfo, read_bundle
from edge.scan.model.confined import ModelProcessError
from edge.scan.model.manifest import Manifest
from edge.scan.progress import Cancelled
from edge.settings import Settings

if TYPE_CHECKING:
    from edge.scan.model.bundle import Bundle

USABLE: Final = 0.85
"""At least this share of a machine's nominal RAM is usable by the system."""

NEEDED: Final = 300.0
"""MB that must be free to load the model. CLIP's tower takes 180 while it is loaded and runs, and
80 when it waits: its file, mapped, which the kernel may take back."""

AHEAD: Final = 800.0
"""MB that must be free to load it while a clip is decoded, which takes memory as well."""

TIGHT: Final = 150.0
"""MB: with less than this free, an idle model is unloaded."""

IDLE: Final = 60.0
"""Seconds without use after which memory is checked."""

MEMORY: Final = Path("/proc/meminfo")
log = logging.getLogger("truelight")


class Absence(StrEnum):
    """Why there is no second opinion."""

    NOT_WANTED = "not wanted"
    NOT_INSTALLED = "not installed"
    MEMORY = "memory"
    OTHER_MODEL = "other model"
    UNUSABLE = "unusable"


class FaceAnswers(NamedTuple):
    """The model's logits for each crop of a face."""

    swapped: Sequence[float]
    generated: Sequence[float] = ()
    """Empty if the model does not say so."""


@dataclass(frozen=True)
class NoSecondModel:
    """Why there is no second model, for the doctor."""

    why: Absence
    sentence: str
    remedy: str = ""


def find_second(
    settings: Settings, first: Manifest, memory: Path = MEMORY
) -> BundleInfo | NoSecondModel:
    """The second model beside the bundle `first`, by the settings and this machine's memory."""
    folder = settings.second_folder
    if settings.second_opinion.ask == "never":
        return NoSecondModel(Absence.NOT_WANTED, N_("Disabled: second_opinion.ask is never."))
    if folder == settings.bundle_folder:
        sentence = N_("Disabled: {first} judges alone.").format(first=folder.name)
        return NoSecondModel(Absence.NOT_WANTED, sentence)
    if not folder.is_dir():
        sentence = N_("Not installed: there is no bundle at {file}.").format(file=folder)
        return NoSecondModel(Absence.NOT_INSTALLED, sentence)
    try:
        second = read_bundle(folder)
    except TruelightError as failure:
        return NoSecondModel(Absence.UNUSABLE, failure.message, failure.remedy)
    if second.lacks_weights:
        remedy = N_("If you want it: truelight models add {first}").format(first=folder.name)
        sentence = N_("Not installed: {first}.").format(first=folder.name)
        return NoSecondModel(Absence.NOT_INSTALLED, sentence, remedy)
    return _misfit(second.manifest, first) or _shortage(settings, memory) or second


def _misfit(second: Manifest, first: Manifest) -> NoSecondModel | None:
    if second.beside is None:
        sentence = N_("{first} has no rule for combining it with another model.")
        return NoSecondModel(Absence.UNUSABLE, sentence.format(first=second.name))
    if second.beside.fits(first):
        return None
    sentence = N_("Not used: {second} was fitted for another first model than {first}.").format(
        second=second.name, first=f"{first.name} {first.version}"
    )
    return NoSecondModel(Absence.OTHER_MODEL, sentence)


def _shortage(settings: Settings, memory: Path) -> NoSecondModel | None:
    wanted, total = settings.second_opinion, megabytes("MemTotal", memory)
    if wanted.ask == "always" or total is None or total >= USABLE * wanted.least_memory:
        return None
    sentence = N_(
        "Not used: {number} MB of memory are less than second_opinion.least_memory ({least})."
    ).format(number=f"{total:.0f}", least=wanted.least_memory)
    return NoSecondModel(Absence.MEMORY, sentence)


class SecondModel:
    """A second model that is loaded when it is first needed."""

    def __init__(
        self, info: BundleInfo, settings: Settings, memory: Path = MEMORY, idle: float = IDLE
    ) -> None:
        self.info = info
        self._threads = settings.scan.threads
        self._settings = settings.second_opinion
        self._memory = memory
        self._idle = idle
        self._bundle: Bundle | None = None
        self._refusal: TruelightError | None = None
        self._used = 0.0
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    @property
    def always(self) -> bool:
        """Whether it is asked about every face that counts, not only where the first is unsure."""
        return self._settings.ask == "always"

    @property
    def crops(self) -> int:
        """The most crops of a face that it is asked about."""
        return self.info.manifest.beside.crops if self.info.manifest.beside else 0

    @property
    def loaded(self) -> bool:
        """Whether the model is in memory now."""
        return self._bundle is not None

    def close(self) -> None:
        """Unload the model."""
        with self._lock:
            self._bundle = None
            if self._timer is not None:
                self._timer.cancel()

    def prepare(self) -> None:
        """Load the model now if there is plenty of memory, so that `answers` need not.

        Never fails: `answers` does.
        """
        free = megabytes("MemAvailable", self._memory)
        if free is None or free < AHEAD:
            return
        with self._lock, contextlib.suppress(TruelightError):
            self._bundle = self._bundle or self._load()
            self._used = time.monotonic()

    def answers(
        self, crops: Mapping[int, Sequence[Pixels]], report: Callable[[int], None]
    ) -> dict[int, FaceAnswers]:
        """The logits of every crop (uint8 `[side, side, 3]` RGB), by face.

        `report` is called repeatedly with the number of crops that were scored; it may raise
        `Cancelled`. Raises TruelightError: the model cannot be loaded now, fails, or takes more
        time than allowed.
        """
        until = time.monotonic() + self._settings.seconds

        def check(scored: int) -> None:
            report(scored)
            if time.monotonic() > until:
                sentence = N_("it takes longer than {seconds} s (second_opinion.seconds).")
                raise TruelightError(sentence.format(seconds=f"{self._settings.seconds:g}"))

        with self._lock:
            try:
                bundle = self._bundle = self._bundle or self._load()
                answers: dict[int, FaceAnswers] = {}
                scored = 0
                for face, kept in crops.items():
                    answers[face] = self._answers(bundle, kept, check, scored)
                    scored += len(kept)
                report(scored)
                return answers
            except (TruelightError, Cancelled):
                raise
            except ModelProcessError as failure:
                raise TruelightError(str(failure)) from None
            except Exception as failure:
                log.exception("The second opinion failed")
                sentence = N_("{name} failed: {why}.")
                sentence = sentence.format(name=self.info.path.name, why=repr(failure))
                raise TruelightError(sentence) from failure
            finally:
                self._used = time.monotonic()
                trim_heap()

    def _answers(
        self, bundle: Bundle, crops: Sequence[Pixels], check: Callable[[int], None], scored: int
    ) -> FaceAnswers:
        swapped: list[float] = []
        generated: list[float] = []
        for at in range(0, len(crops), TOWER_BATCH):
            check(scored + at)
            features = self._features(bundle, np.stack(crops[at : at + TOWER_BATCH]))
            swapped += map(float, bundle.sequence(features[:, None]))
            if bundle.asks_generated:
                generated += map(float, bundle.generated(features[:, None]))
        return FaceAnswers(swapped, generated)

    def _features(self, bundle: Bundle, crops: Crops) -> Floats:
        """Of one batch."""
        return bundle.features(crops)

    def _load(self) -> Bundle:
        """The verified model; a bundle that was refused is not tried again."""
        from edge.scan.model.bundle import load_bundle

        free = megabytes("MemAvailable", self._memory)
        if self._settings.ask != "always" and free is not None and free < NEEDED:
            sentence = N_("only {free} MB of memory are free.")
            raise TruelightError(sentence.format(free=f"{free:.0f}"))
        if self._refusal is None:
            try:
                bundle = load_bundle(self.info, self._threads)
                self._check_later()
                return bundle
            except TruelightError as failure:
                log.error("%s %s", failure.message, failure.remedy)
                self._refusal = failure
        raise self._refusal

    def _check_later(self) -> None:
        self._timer = threading.Timer(self._idle, self._unload_if_tight)
        self._timer.daemon = True
        self._timer.start()

    def _unload_if_tight(self) -> None:
        """Unload the model if it was not used for a while and memory is tight."""
        with self._lock:
            idle = time.monotonic() - self._used >= self._idle
            free = megabytes("MemAvailable", self._memory)
            if idle and free is not None and free < TIGHT:
                self._bundle = None
                trim_heap()
            if self._bundle is not None:
                self._check_later()


def megabytes(key: str, file: Path = MEMORY) -> float | None:
    """A line of /proc/meminfo in MB; None if it is missing."""
    try:
        lines = file.read_text(encoding="ascii").splitlines()
        found = next(line for line in lines if line.startswith(f"{key}:"))
        return int(found.split()[1]) / 1000
    except (OSError, StopIteration, ValueError, IndexError):
        return None


def trim_heap() -> None:
    """Have the C library return free memory.

    It would keep 30 MB after the network was loaded, and 120 after every second opinion.
    """
    with contextlib.suppress(AttributeError):  # only GNU's library has this function
        ctypes.CDLL(None).malloc_trim(0)
