"""The panel that nobody sees."""

from edge.box.panel.opening import open_panel
from edge.box.panel.screens import draw
from edge.box.panel.simulated import VirtualPanel
from edge.box.views import Judged, Ready, Scene, Starting, Working
from edge.finding import Verdict
from edge.settings import Settings


class Clock:
    now = 50.0

    def __call__(self) -> float:
        return self.now


def test_remembers_what_was_shown_and_when() -> None:
    clock = Clock()
    panel = VirtualPanel(None, clock)
    scenes = [Scene(Starting()), Scene(Starting()), Scene(Ready())]
    for scene in scenes:
        panel.show(scene)
        clock.now += 2.0
    assert panel.shown == [(0.0, scenes[0]), (4.0, scenes[2])]
    picture = panel.picture()
    assert picture and picture.tobytes() == draw(Scene(Ready()), 0.0).tobytes()


def test_tells_the_lamps_over_time() -> None:
    clock = Clock()
    panel = VirtualPanel(None, clock)
    assert panel.lamps(0.0) == (False, False)
    for step in range(10):
        panel.show(Scene(Working("a", 1, 1, step / 10, None)))
        clock.now += 0.25
    panel.show(Scene(Judged(Verdict.UNSURE, 0.5, "a", "")))
    lamps = [panel.lamps(quarter / 4) for quarter in range(12)]
    on, off, both = (True, False), (False, False), (True, True)
    assert lamps == [on, on, off, off, on, on, off, off, on, on, both, both]


def test_a_box_without_a_panel_keeps_only_the_last_scene() -> None:
    panel = open_panel(Settings().changed("the test", {"panel.kind": "none"}), print)
    assert isinstance(panel, VirtualPanel)
    for step in range(10):
        panel.show(Scene(Working("a", 1, 1, step / 10, None)))
    panel.close()
    assert len(panel.shown) == 1 and panel.troubles() == ()
