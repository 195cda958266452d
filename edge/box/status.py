"""What the box does, in a line: for `systemctl status` and the log."""

from __future__ import annotations

from edge.box.views import (
    Aiming,
    Halted,
    Judged,
    Reading,
    Ready,
    Recording,
    Scene,
    ShuttingDown,
    Starting,
    Stopped,
    Summary,
    Trouble,
    View,
    Working,
    Writing,
)

_PLAIN = {
    Starting: "Starting",
    Ready: "Ready",
    Aiming: "The viewfinder is open",
    Recording: "Recording",
    Stopped: "Cancelled",
    Summary: "All clips are judged",
    ShuttingDown: "Ending",
    Halted: "Ended: the power may go",
}


def status(scene: Scene) -> str:
    """The line for a scene; it stays the same while the same thing goes on."""
    marks = f" ({', '.join(scene.marks)})" if scene.marks else ""
    return _line(scene.view) + marks


def _line(view: View) -> str:
    match view:
        case Working():
            name = view.name or "a recording"
            place = f"{view.number} of {view.of}: " if view.of > 1 else ""
            return f"Judging {place}{name}"
        case Reading():
            return f"Reading {view.name}"
        case Writing():
            return f"Writing the report on {view.name}"
        case Judged():
            return f"{view.verdict}: {view.name or 'the recording'}"
        case Trouble():
            return f"{view.message.rstrip('.')}. {view.remedy}"
    return _PLAIN[type(view)]
