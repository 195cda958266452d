"""The last picture: everything is written, the plug may be pulled.

Runs once, by `systemd/truelight-halted`, when the system has ended everything else and nothing is
mounted for writing any more. The lamps are dark by then, which is what they say.
"""

from __future__ import annotations

from edge.box.panel.display import Oled
from edge.box.panel.screens import draw
from edge.box.views import Brightness, Halted, Scene
from edge.settings import Settings, SettingsError, load_settings


def show_halted(settings: Settings) -> None:
    """Leave the picture on the display, if there is one."""
    if settings.panel.kind != "hardware" or settings.display.driver == "none":
        return
    display = Oled(settings.display)
    display.show(draw(Scene(Halted()), 0.0), Brightness.FULL)
    display.close()


def main() -> None:
    """Show it by this machine's settings, or as shipped if these are wrong."""
    try:
        settings = load_settings()
    except SettingsError:
        settings = Settings()
    show_halted(settings)


if __name__ == "__main__":
    main()
