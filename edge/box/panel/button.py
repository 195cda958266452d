"""What the button's contact means. Pure: levels and times go in, events come out."""

from __future__ import annotations

from edge.box.events import Held, HeldLong, Pressed
from edge.settings_schema import ButtonSettings


class Presses:
    """Follows one contact.

    A press counts when the button is let go, if it was not held by then. A change is believed at
    once, and what comes within the bounce time after it is not looked at. A button that is down
    from the beginning (stuck, or a wire at ground) means nothing until it comes up.
    """

    def __init__(self, settings: ButtonSettings, down: bool) -> None:
        self._bounce = settings.bounce
        self._steps = (
            (settings.hold, Held()),
            (max(settings.hold, settings.long_hold), HeldLong()),
        )
        self._down = down
        self._since = self._settled = 0.0
        self._told = len(self._steps) if down else 0

    def saw(self, down: bool, now: float) -> list[Pressed | Held | HeldLong]:
        """What follows from the contact being down, or not, at `now` (seconds)."""
        events: list[Pressed | Held | HeldLong] = []
        if self._down:
            while self._told < len(self._steps) and now >= self._since + self._steps[self._told][0]:
                events.append(self._steps[self._told][1])
                self._told += 1
        if down != self._down and now >= self._settled:
            if self._down and not self._told:
                events.append(Pressed())
            self._down, self._settled = down, now + self._bounce
            if down:
                self._since, self._told = now, 0
        return events

    def due(self, now: float) -> float | None:
        """Seconds until the contact must be looked at again, changed or not; None for never."""
        moments = [self._settled] if now < self._settled else []
        if self._down and self._told < len(self._steps):
            moments.append(self._since + self._steps[self._told][0])
        return max(0.0, min(moments) - now) if moments else None
