"""`CARD.md`: what a bundle is, for people."""

from __future__ import annotations

from collections.abc import Sequence

from edge.scan.model.manifest import Manifest, MeasuredFigure

ABOUT = "<!-- about -->"
PLAIN = "Nothing was said of its training, nor of what it cannot see."


def card(manifest: Manifest, about: str) -> str:
    """The card: what its maker says, how it is used, what was measured."""
    return "\n".join(
        [
            f"# {manifest.name} {manifest.version}",
            "",
            manifest.summary,
            "",
            f"Licence: {manifest.licence}",
            "",
            ABOUT,
            about.strip() or PLAIN,
            ABOUT,
            "",
            "## How it is used",
            "",
            *_use(manifest),
            "",
            "## What was measured",
            "",
            *_tables(manifest.figures),
            "",
        ]
    )


def about_of(text: str) -> str:
    """What its maker said, out of a card."""
    parts = text.split(ABOUT)
    return parts[1] if len(parts) == 3 else ""


def _use(manifest: Manifest) -> list[str]:
    crop, window = manifest.input.crop, manifest.window
    calibration, thresholds = manifest.calibration, manifest.thresholds
    quality = manifest.quality
    lines = [
        f"- Crops of {manifest.input.side} px, {crop.scale:g} times the longer side of the face"
        f" box, moved by {crop.shift_x:g} and {crop.shift_y:g} of it (right, down).",
        f"- Windows of {window.frames} crops at {window.rate:g} Hz; a track's logit is the"
        f" {manifest.pooling} of its windows'.",
        f"- probability = sigmoid({calibration.scale:.4g} x logit {calibration.offset:+.4g});"
        f" {_word('REAL', 'up to', thresholds.real, 0)},"
        f" {_word('FAKE', 'from', thresholds.fake, 1)}.",
        f"- A face counts from {quality.face_px:g} px, light {quality.light:g} of 255, sharpness"
        f" {quality.sharpness:g} and {quality.seconds:g} s in sight on; others leave it UNSURE.",
        f"- {'Products' if manifest.kind == 'tower' else 'Convolutions'}:"
        f" {manifest.graphs.quantization}.",
    ]
    if beside := manifest.beside:
        lines.append(
            f"- Asked beside {beside.name}, about {beside.crops} crops of a face: probability ="
            f" sigmoid({beside.first:.4g} x its logit {beside.second:+.4g} x this one's"
            f" {beside.offset:+.4g}); REAL up to {beside.thresholds.real:.3g}, FAKE from"
            f" {beside.thresholds.fake:.3g}."
        )
    if factors := manifest.graphs.group_factors:
        listed = ", ".join(f"{stage} {factor}" for stage, factor in factors.items())
        lines.append(f"- Groups of the 3x3 convolutions merged by: {listed}.")
    if manifest.kind == "published":
        lines.append(
            "- A published checkpoint with its own semantics: BGR planes, classes FAKE and REAL,"
            f" read-out {manifest.readout}. Its LSTM takes the batch for time, so every frame is"
            " judged by itself from a zero state and the order of frames is nothing to it; the"
            " graph holds the closed form of that. The crop stands in for dlib's box: their overlap"
            " (IoU) is 0.84 in the median over 351 frames of 34 sources."
        )
    return lines


def _word(word: str, how: str, threshold: float, never: float) -> str:
    """Where a word is said, or that it never is."""
    return f"{word} never" if threshold == never else f"{word} {how} {threshold:.3g}"


def _tables(figures: Sequence[MeasuredFigure]) -> list[str]:
    """A table for each set of data, a row a figure; the commands that made them, once each."""
    if not figures:
        return ["Nothing yet."]
    commands = list(dict.fromkeys(figure.command for figure in figures if figure.command))
    lines: list[str] = []
    for data in dict.fromkeys(figure.data for figure in figures):
        lines += [f"### On {data}" if data else "### Without data", ""]
        lines += ["| figure | value | 95 % interval | by |", "| --- | --- | --- | --- |"]
        for figure in figures:
            if figure.data == data:
                lines.append(_row(figure, commands))
        lines.append("")
    return [*lines, "By:", "", *(f"{at}. `{command}`" for at, command in enumerate(commands, 1))]


def _row(figure: MeasuredFigure, commands: Sequence[str]) -> str:
    within = ""
    if figure.low is not None and figure.high is not None:
        within = f"{figure.low:.3g} to {figure.high:.3g}"
    by = str(commands.index(figure.command) + 1) if figure.command else ""
    cells = (figure.name, f"{figure.value:.3g}", within, by)
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
