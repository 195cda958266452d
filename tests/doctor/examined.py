"""A machine for the doctor to examine, and an operator who answers."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from edge.doctor import Operator, run_checks
from edge.doctor.context import Context, Result
from edge.settings import load_settings

HARDWARE = ("lamps", "display", "button", "camera")


SERVICE = "LoadState=loaded\nActiveState={}\nSubState=running\nStatusText={}\nNRestarts={}"


class Somebody(Operator):
    """Sees and does what a test says."""

    def __init__(self, sees: bool = True, does: Callable[[], None] = lambda: None) -> None:
        self.sees, self.does = sees, does
        self.heard: list[str] = []

    def confirm(self, question: str) -> bool | None:
        self.heard.append(question)
        return self.sees

    def request(self, action: str) -> bool:
        self.heard.append(action)
        self.does()
        return True


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def answers(**programs: str) -> Callable[[Sequence[str]], str]:
    return lambda command: programs.get(command[0], "")


def machine(root: Path, operator: Operator | None = None, **programs: str) -> Context:
    settings = load_settings().changed("test", {"store.folder": str(root / "store")})
    return Context(
        settings,
        root,
        operator or Operator(),
        answers(**programs),
        pause=lambda seconds: None,
        now=lambda: datetime(2030, 1, 31, tzinfo=UTC),
    )


def changed(old: Context, **values: object) -> Context:
    """The same machine with settings of its own; `a__b` is a.b."""
    settings = old.settings.changed(
        "/etc/truelight/truelight.yaml, line 1",
        {path.replace("__", "."): value for path, value in values.items()},
    )
    return Context(settings, old.root, old.operator, old.run_program, old.pause, old.now)


def check(part: str, context: Context) -> Result:
    return dict(run_checks(context, [part]))[part]
