"""A scanner that answers by the first few frames of a clip, for several numbers of frames at once.

The frames are decoded, searched for faces and cut once, for the largest number. A scan of fewer
frames takes the first of just these, and each step of the pipeline depends on earlier frames only.
So what a scan with each number would know is copied when that number is reached, and judged at the
end as that scan would: the same crops, in the same batches. A batch that was run already is not run
again. (It has to be the same batch: a tower's activations are quantized by batch.)

With a second model, each answer is kept as it was before that model was asked as well.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from copy import copy, deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from edge import __version__
from edge.errors import TruelightError
from edge.finding import Finding, Verdict, WindowScore
from edge.scan.begin import decoding_plan
from edge.scan.frames import Crops, Floats, Pixels
from edge.scan.media.client import ClipError, OpenClip
from edge.scan.media.protocol import Remark
from edge.scan.media.sampling import Sampling
from edge.scan.media.still_check import StillCheck
from edge.scan.model.bundle import Bundle, Graphs
from edge.scan.model.confined import ModelProcessError
from edge.scan.model.inference import Inference
from edge.scan.model.manifest import CARD, FIGURES, Manifest
from edge.scan.model.second_opinion import SecondModel
from edge.scan.progress import ProgressReporter
from edge.scan.reasons import withhold_real
from edge.scan.scanner import Scanner
from edge.scan.tracks import ClipFaces
from edge.scan.work import ScannedPart, Work
from edge.settings import Settings

KNOWN_AT_START = frozenset({Remark.UNINDEXED, Remark.COUNTED_TIMES, Remark.STILL})
"""Of a clip, whatever the number of frames; `STILL` is found for each number by itself."""


class Answers(NamedTuple):
    """The findings on a clip."""

    alone: Finding
    """By the first model."""
    together: Finding
    """With a second opinion, if there is one."""
    portraits: Mapping[int, Pixels]
    """Of the faces, by id."""


class MeasuringScanner(Scanner):
    """Judges as its base does, and keeps the first model's own answer."""

    def __init__(self, settings: Settings) -> None:
        """As its base."""
        super().__init__(settings)
        self.alone: Finding | None = None
        """On the last clip: what the first model alone says; None if no face was looked for."""
        self._remembered = _Remembered()
        if self._second is not None:
            self._second = _RememberingModel(self._second, settings, self._remembered)

    @property
    def has_second(self) -> bool:
        """Whether there is a second model."""
        return self._second is not None

    @property
    def sampling(self) -> Sampling:
        """Which frames of a clip are looked at."""
        return decoding_plan(self._settings, self.manifest)[0]

    def identity(self, *, second: bool) -> str:
        """What scores depend on beside the clip: settings, the first model and the `second`."""
        settings = self._settings.model_dump(mode="json", include={"scan", "faces", "decode"})
        sampled = {key: settings["scan"][key] for key in ("windows", "first")}
        parts = [_digest([__version__, {**settings, "scan": sampled}, _judging(self.manifest)])]
        if second and self._second is not None:
            parts.append(_digest(_judging(self._second.info.manifest)))
        return "+".join(parts)

    def unreadable_answers(self, path: Path, failure: TruelightError) -> Answers:
        """On a clip that is not scanned because of a failure."""
        finding = self.unreadable(path, failure.message)
        return Answers(finding, finding, {})

    def changed(self, values: Mapping[str, object]) -> MeasuringScanner:
        """The same with the same models, and some settings of the scan changed."""
        scanner = copy(self)
        scanner._settings = self._settings.changed("the command line", values)
        return scanner

    def answers(self, path: Path) -> Answers:
        """Scan a clip, sampled by the settings. Raises TruelightError as `scan` does."""
        self.alone = None
        self._remembered.forget()
        result = self.scan_with_pictures(path)
        unreadable = result.finding.verdict is Verdict.UNREADABLE
        alone = result.finding if unreadable or self.alone is None else self.alone
        return Answers(alone, result.finding, result.portraits)

    def by_frames(self, path: Path, counts: Sequence[int]) -> dict[int, Answers]:
        """The answers by each number of first frames, as scans with `scan.first` would give them.

        A file with several parts, or one that exceeds a limit of work, is scanned for each number.

        Raises TruelightError as `scan` does.
        """
        self._remembered.forget()
        scanners = {count: self.changed({"scan.first": count}) for count in counts}
        try:
            states = scanners[max(counts)]._read(path, counts)
        except ClipError:
            states = None
        if states is None:
            return {count: scanner.answers(path) for count, scanner in scanners.items()}
        found: dict[int, Answers] = {}
        for count, scanner in scanners.items():
            # A short clip has no more frames for a larger number: the answer is the same.
            state = states[count]
            same = next((n for n in found if states[n] is state), None)
            try:
                found[count] = scanner._judged(path, state) if same is None else found[same]
            except ModelProcessError:  # a scan says so in its finding
                found[count] = scanner.answers(path)
        return found

    def _read(self, path: Path, counts: Sequence[int]) -> dict[int, _State] | None:
        """What is known of a clip after each number of frames; None if it cannot be told."""
        plan = decoding_plan(self._settings, self.manifest)
        waiting = ProgressReporter(None).repeat
        states: dict[int, _State] = {}
        with (
            self._decoders.open_file(path) as file,
            OpenClip(file, *plan, self._decoders, waiting) as clip,
        ):
            pipeline = self._faces.result()
            detector = pipeline._detector
            state = _State(clip, pipeline.start_clip())
            for frame in clip.frames():
                found = state.faces.add(frame)
                state.still.add(frame.pixels.reshape(-1).data)
                crops = {face.track: crop.pixels for face, crop in found}
                state.frames.append((frame.window, frame.time, crops))
                if len(state.frames) in counts:
                    states[len(state.frames)] = state.copied(detector)
            if clip.stopped or clip.open_next() or clip.remarks.keys() - KNOWN_AT_START:
                return None
            remarks = clip.remarks
        whole = state.copied(detector)
        for each in (*states.values(), whole):
            each.note(remarks)
        return {count: states.get(count, whole) for count in counts}

    def _judged(self, path: Path, state: _State) -> Answers:
        """The answers on what is known of a clip."""
        work = Work(self._new_finding(path))
        work.fill(clip=state.clip.clip, frames_read=state.clip.frames_read)
        work.parts.append(ScannedPart(None, state.clip.clip, state.faces))
        work.fill(frames_scored=work.frames_with_face)
        work.finish_part(state.clip, self._windows(state))
        self._decide(work, state.clip, ProgressReporter(None))
        finding = withhold_real(work.finding, self.manifest.quality)
        portraits = {face.id: work.track(face.id).portrait for face in finding.faces}
        return Answers(self.alone or finding, finding, portraits)

    def _windows(self, state: _State) -> dict[int, tuple[WindowScore, ...]]:
        """The scores of its faces by the first model."""
        bundle = self._bundle.result()
        graphs = _RememberingGraphs(bundle, self._remembered)
        remembering = Bundle(bundle.info, graphs)
        with Inference(lambda: remembering, self.manifest) as inference:
            for window, time, crops in state.frames:
                inference.add(window, time, crops)
            return inference.finish()

    def _ask_second_model(self, work: Work, progress: ProgressReporter) -> None:
        self.alone = withhold_real(work.finding, self.manifest.quality)
        super()._ask_second_model(work, progress)


def _judging(manifest: Manifest) -> dict[str, object]:
    """What a bundle's answers depend on."""
    fields = {"input", "window", "calibration", "thresholds", "quality", "beside", "files"}
    found = manifest.model_dump(mode="json", include=fields)
    for name in (CARD, FIGURES):
        found["files"].pop(name, None)
    return found


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


@dataclass
class _State:
    """What is known of a clip after some of its frames."""

    clip: OpenClip
    """What the decoder process has said by then."""
    faces: ClipFaces
    still: StillCheck = field(default_factory=StillCheck)
    frames: list[tuple[int, float, dict[int, Pixels]]] = field(default_factory=list)
    """Window, time and crops by track."""

    def copied(self, detector: object) -> _State:
        """A copy that further frames do not change; the detector itself is shared."""
        faces = deepcopy(self.faces, {id(detector): detector})
        return _State(copy(self.clip), faces, copy(self.still), list(self.frames))

    def note(self, remarks: Mapping[Remark, int]) -> None:
        """Take the remarks that are made when all frames were handed out."""
        self.clip.remarks = {each: n for each, n in remarks.items() if each is not Remark.STILL}
        if self.still.frames > 1 and self.still.is_still:
            self.clip.remarks[Remark.STILL] = self.still.frames


@dataclass
class _Remembered:
    """The features of the batches of one clip, by model and content."""

    batches: dict[tuple[str, bytes], Floats] = field(default_factory=dict)

    def forget(self) -> None:
        """Begin a clip."""
        self.batches.clear()

    def features(self, model: str, crops: Crops, run: Callable[[Crops], Floats]) -> Floats:
        """Those of a batch, run if it is not known."""
        key = model, hashlib.sha256(crops.tobytes()).digest()
        if key not in self.batches:
            self.batches[key] = run(crops)
        return self.batches[key]


class _RememberingGraphs:
    """A bundle's graphs that run no batch twice: `Graphs`."""

    def __init__(self, graphs: Graphs, remembered: _Remembered) -> None:
        self.sequence = graphs.sequence
        self.generated = graphs.generated
        self.asks_generated = graphs.asks_generated
        self._graphs = graphs
        self._remembered = remembered

    def features(self, crops: Crops, output: str = "features") -> Floats:
        """As `Graphs.features`."""
        return self._remembered.features(
            output, crops, lambda batch: self._graphs.features(batch, output)
        )


class _RememberingModel(SecondModel):
    def __init__(self, model: SecondModel, settings: Settings, remembered: _Remembered) -> None:
        super().__init__(model.info, settings)
        self._remembered = remembered

    def _features(self, bundle: Bundle, crops: Crops) -> Floats:
        return self._remembered.features("second", crops, bundle.features)
