"""Which panel and which camera the settings open."""

import pkgutil
from typing import get_args

from edge.box import panel
from edge.box.sources import camera
from edge.box.views import Scene
from edge.box.views.status import Ready
from edge.settings import Settings
from edge.settings_schema import CameraSettings, PanelSettings


def test_every_kind_of_the_settings_is_registered() -> None:
    for kinds, section in ((panel.KINDS, PanelSettings), (camera.KINDS, CameraSettings)):
        assert set(kinds) == set(get_args(section.model_fields["kind"].annotation))
        for place in kinds.values():
            assert callable(pkgutil.resolve_name(place))


def test_a_box_may_have_no_panel() -> None:
    none = panel.open_panel(Settings().changed("the test", {"panel.kind": "none"}), print)
    none.show(Scene(Ready()))
    assert none.troubles() == ()
    none.close()
