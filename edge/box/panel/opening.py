"""Which panel, by the settings."""

from __future__ import annotations

from edge.box.panel.panel import Panel, Post
from edge.settings import Settings


def open_panel(settings: Settings, post: Post) -> Panel:
    """The panel that the settings name.

    Raises:
        TruelightError: a terminal is asked for, and there is none.
    """
    if settings.panel.kind == "hardware":
        from edge.box.panel.gpio import open_hardware

        return open_hardware(settings, post)
    if settings.panel.kind == "terminal":
        from edge.box.panel.terminal import open_terminal

        return open_terminal(post, f"files dropped into {settings.inbox_folder} are judged")
    from edge.box.panel.simulated import VirtualPanel

    return VirtualPanel()
