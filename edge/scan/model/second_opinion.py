"""Who is asked for a second opinion: found, loaded when first needed, asked, let go.

Another model takes memory, so it is loaded by the first clip that is in doubt. It stays loaded; if
memory becomes tight while it has nothing to do, it goes until it is needed again.
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
from typing import TYPE_CHECKING, Final

import numpy as np

from edge.errors import TruelightError
from edge.finding import Model
from edge.scan.model.bundle import TOWER_BATCH, Bundle, load_bundle, read_manifest
from edge.scan.model.ensemble import Logits, fits, in_doubt, reconsider, unasked
from edge.scan.model.manifest import TOWER, Manifest
from edge.scan.progress import Cancelled
from edge.scan.verdict import Judgement
from edge.settings import Settings

if TYPE_CHECKING:
    from edge.scan.faces.best_crops import BestCrops
    from edge.scan.faces.detector import Pixels

MEMORY: Final = Path("/proc/meminfo")

KEPT_BACK: Final = 0.85
"""Of the memory that a machine is sold with, at least this part is the system's to give."""

NEEDED: Final = 300.0
"""MB free without which none is loaded. CLIP's tower takes 180 while it is loaded and answers, and
80 when it waits: its file, mapped, which the kernel may take back."""

TIGHT: Final = 150.0
"""MB: with less than this free, a model that nobody needs goes."""

IDLE: Final = 60.0
"""Seconds without a question after which memory is looked at."""

log = logging.getLogger("truelight")


class Absence(StrEnum):
    """Why nobody is asked."""

    NOT_WANTED = "not wanted"
    NOT_INSTALLED = "not installed"
    MEMORY = "memory"
    OTHER_MODEL = "other model"
    UNUSABLE = "unusable"


@dataclass(frozen=True)
class NoSecondModel:
    """No second opinion is asked for, and why; for the doctor."""

    why: Absence
    sentence: str
    remedy: str = ""


@dataclass(frozen=True)
class SecondModel:
    """A bundle that can be asked, as far as its manifest tells."""

    folder: Path
    manifest: Manifest
    sha256: str


def find_second(
    settings: Settings, first: Manifest, memory: Path = MEMORY
) -> SecondModel | NoSecondModel:
    """Who is asked beside the bundle `first`, by the settings and this machine's memory."""
    folder = settings.second_folder
    if settings.second_opinion.ask == "never":
        return NoSecondModel(Absence.NOT_WANTED, "Not wanted: second_opinion.ask is never.")
    if folder == settings.bundle_folder:
        return NoSecondModel(Absence.NOT_WANTED, f"Not wanted: {folder.name} judges alone.")
    if not folder.is_dir():
        return NoSecondModel(
            Absence.NOT_INSTALLED, f"Not installed: there is no bundle at {folder}."
        )
    try:
        manifest, sha256 = read_manifest(folder)
    except TruelightError as failure:
        return NoSecondModel(Absence.UNUSABLE, failure.message, failure.remedy)
    if TOWER in manifest.files and not (folder / TOWER).is_file():
        remedy = f"If you want it: truelight models add {folder.name}"
        return NoSecondModel(Absence.NOT_INSTALLED, f"Not installed: {folder.name}.", remedy)
    obstacle = _misfit(manifest, first) or _shortage(settings, memory)
    return obstacle or SecondModel(folder, manifest, sha256)


def _misfit(second: Manifest, first: Manifest) -> NoSecondModel | None:
    if second.beside is None:
        sentence = f"{second.name} does not say how it is joined with another model."
        return NoSecondModel(Absence.UNUSABLE, sentence)
    if fits(second.beside, first):
        return None
    sentence = f"Not asked: {second.name} was fitted beside another model than {first.name}"
    return NoSecondModel(Absence.OTHER_MODEL, f"{sentence} {first.version}.")


def _shortage(settings: Settings, memory: Path) -> NoSecondModel | None:
    wanted, there = settings.second_opinion, megabytes("MemTotal", memory)
    if wanted.ask != "auto" or there is None or there >= KEPT_BACK * wanted.least_memory:
        return None
    sentence = f"Not asked: {there:.0f} MB of memory are less than second_opinion.least_memory"
    return NoSecondModel(Absence.MEMORY, f"{sentence} ({wanted.least_memory}).")


def megabytes(key: str, file: Path = MEMORY) -> float | None:
    """A line of /proc/meminfo in MB; None where there is none."""
    try:
        lines = file.read_text(encoding="ascii").splitlines()
        found = next(line for line in lines if line.startswith(f"{key}:"))
        return int(found.split()[1]) / 1000
    except (OSError, StopIteration, ValueError, IndexError):
        return None


class SecondOpinionScan:
    """Gives second opinions to one scanner, whose model is `first`."""

    def __init__(
        self,
        second: SecondModel,
        first: Manifest,
        settings: Settings,
        memory: Path = MEMORY,
        idle: float = IDLE,
    ) -> None:
        self._second = second
        self._first = first
        self._threads = settings.scan.threads
        self._careful = settings.second_opinion.ask == "auto"
        self._memory = memory
        self._idle = idle
        self._bundle: Bundle | None = None
        self._refusal: TruelightError | None = None
        self._used = 0.0
        self._turn = threading.Lock()
        self._timer: threading.Timer | None = None

    @property
    def loaded(self) -> bool:
        """Whether the model takes memory at this moment."""
        return self._bundle is not None

    def close(self) -> None:
        """Let the model go."""
        with self._turn:
            self._bundle = None
            if self._timer is not None:
                self._timer.cancel()

    def telling(self) -> BestCrops:
        """What keeps the crops of one clip that may be asked about."""
        from edge.scan.faces.best_crops import BestCrops
        from edge.scan.faces.crops import CropSpec

        manifest = self._second.manifest
        side, rule, beside = manifest.input.side, manifest.input.crop, manifest.beside
        spec = CropSpec(side, rule.scale, rule.shift_x, rule.shift_y)
        assert beside is not None, "else `find_second` had found nobody"
        return BestCrops(spec, beside.crops)

    def consider(
        self, judgement: Judgement, telling: BestCrops, alive: Callable[[], None]
    ) -> Judgement:
        """The judgement, made anew with a second opinion if it is in doubt.

        Whatever keeps the second model from answering is a remark, and no fault of the clip.
        `alive` is called again and again; it may raise `Cancelled`.
        """
        crops = {face: telling.crops(face) for face in in_doubt(judgement)}
        if not crops:
            return judgement
        if not all(crops.values()):
            return unasked(judgement, "there are too many faces.")
        start = time.perf_counter()
        try:
            logits = self._ask(crops, alive)
        except Cancelled:
            raise
        except TruelightError as failure:
            return unasked(judgement, failure.message)
        except Exception as failure:
            log.exception("The second opinion failed")
            return unasked(judgement, f"{self._second.folder.name} failed: {failure!r}.")
        seconds = time.perf_counter() - start
        second = self._second.manifest
        model = Model(name=second.name, version=second.version, sha256=self._second.sha256)
        return reconsider(judgement, logits, self._first, second, model, seconds)

    def _ask(self, crops: Mapping[int, Sequence[Pixels]], alive: Callable[[], None]) -> Logits:
        """The second model's logit of every crop, by face."""
        with self._turn:
            bundle = self._bundle = self._bundle or self._load()
            try:
                return {face: _logits(bundle, kept, alive) for face, kept in crops.items()}
            finally:
                self._used = time.monotonic()
                _tidy()

    def _load(self) -> Bundle:
        """The model, verified; what is wrong with it is not found out twice."""
        free = megabytes("MemAvailable", self._memory)
        if self._careful and free is not None and free < NEEDED:
            raise TruelightError(f"only {free:.0f} MB of memory are free.")
        if self._refusal is None:
            try:
                bundle = load_bundle(self._second.folder, self._threads)
                self._watch()
                return bundle
            except TruelightError as failure:
                log.error("%s %s", failure.message, failure.remedy)
                self._refusal = failure
        raise self._refusal

    def _watch(self) -> None:
        """Look at the memory in a while."""
        self._timer = threading.Timer(self._idle, self._rest)
        self._timer.daemon = True
        self._timer.start()

    def _rest(self) -> None:
        """Let the model go if nobody has asked for a while and memory is tight."""
        with self._turn:
            idle = time.monotonic() - self._used >= self._idle
            free = megabytes("MemAvailable", self._memory)
            if idle and free is not None and free < TIGHT:
                self._bundle = None
                _tidy()
            if self._bundle is not None:
                self._watch()


def _tidy() -> None:
    """Have the C library hand back what is free: it would keep 120 MB after every question."""
    with contextlib.suppress(AttributeError):  # another library than GNU's has no such function
        ctypes.CDLL(None).malloc_trim(0)


def _logits(bundle: Bundle, crops: Sequence[Pixels], alive: Callable[[], None]) -> list[float]:
    """What the model answers to each crop of a face."""
    logits: list[float] = []
    for at in range(0, len(crops), TOWER_BATCH):
        alive()
        features = bundle.features(np.stack(crops[at : at + TOWER_BATCH]))
        logits += map(float, bundle.sequence(features[:, None]))
    return logits
