"""What can be set, where it is set, and what is refused.

Three layers, the later one wins: `config/truelight.yaml`, `/etc/truelight/truelight.yaml`
for this machine, and a file or an option of the command line. A setting knows where it came from;
an unknown or a wrong one is refused with its path, its place and what would be allowed.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, PrivateAttr, ValidationError

from edge.errors import TruelightError
from edge.settings_schema import (
    ButtonSettings,
    CameraSettings,
    DecodeSettings,
    DisplaySettings,
    FaceSettings,
    HealthSettings,
    InboxSettings,
    LampSettings,
    ModelSettings,
    PanelSettings,
    ScanSettings,
    SecondOpinionSettings,
    Section,
    StickSettings,
    StoreSettings,
)

HOME = Path(__file__).resolve().parent.parent
"""The folder that holds `config/` and `models/`."""

SHIPPED = HOME / "config" / "truelight.yaml"
MACHINE = Path("/etc/truelight/truelight.yaml")


class SettingsError(TruelightError):
    """A setting that is not known or not allowed, or a file of settings that cannot be read."""


@dataclass(frozen=True)
class Setting:
    """One value as a layer gives it, and where that is written."""

    value: object
    origin: str


Layer = Mapping[str, Setting]
"""Settings by their path, as in `scan.windows`."""


class Settings(Section):
    """Everything that can be set. Frozen: `changed` makes a copy."""

    model: ModelSettings = ModelSettings()
    scan: ScanSettings = ScanSettings()
    second_opinion: SecondOpinionSettings = SecondOpinionSettings()
    faces: FaceSettings = FaceSettings()
    decode: DecodeSettings = DecodeSettings()
    panel: PanelSettings = PanelSettings()
    button: ButtonSettings = ButtonSettings()
    lamps: LampSettings = LampSettings()
    display: DisplaySettings = DisplaySettings()
    camera: CameraSettings = CameraSettings()
    stick: StickSettings = StickSettings()
    inbox: InboxSettings = InboxSettings()
    store: StoreSettings = StoreSettings()
    health: HealthSettings = HealthSettings()

    _layers: tuple[Layer, ...] = PrivateAttr(default=())

    def origin(self, path: str) -> str:
        """Where `section.name` got its value: a file with its line, an option, or "built in"."""
        return _origin(self._layers, path, "built in")

    def changed(self, origin: str, values: Mapping[str, object]) -> Settings:
        """A copy with some `section.name` set anew.

        Raises:
            SettingsError: a value is not allowed.
        """
        layer = {path: Setting(value, origin) for path, value in values.items()}
        return _settle((*self._layers, layer))

    @property
    def models_folder(self) -> Path:
        """The folder of bundles; a relative one is meant from the program's own folder."""
        return HOME / Path(self.model.folder).expanduser()

    @property
    def bundle_folder(self) -> Path:
        """The chosen bundle: a name within `models_folder`, or a path of its own."""
        return self._bundle_at(self.model.bundle)

    @property
    def second_folder(self) -> Path:
        """The bundle that is asked for a second opinion, there or not."""
        return self._bundle_at(self.second_opinion.bundle)

    def _bundle_at(self, place: str) -> Path:
        chosen = Path(place).expanduser()
        return self.models_folder / chosen if place == chosen.name else chosen

    @property
    def store_folder(self) -> Path:
        """What stays lies here: as set, else as systemd says, else in the user's own place."""
        if self.store.folder is not None:
            return Path(self.store.folder).expanduser()
        if given := os.environ.get("STATE_DIRECTORY"):
            return Path(given)
        state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
        return Path(state).expanduser() / "truelight"

    @property
    def inbox_folder(self) -> Path:
        """Clips may be dropped here."""
        chosen = self.inbox.folder
        return self.store_folder / "inbox" if chosen is None else Path(chosen).expanduser()


def load_settings(config: Path | None = None) -> Settings:
    """The settings of this machine, with the file `config` laid over them if given.

    Raises:
        SettingsError: a file cannot be read, or says something that is not allowed.
    """
    if not SHIPPED.is_file():
        message = f"{SHIPPED} is missing: Truelight runs from its own folder."
        raise SettingsError(message, "Install it with ./setup.sh run, or pip install --editable.")
    files = [file for file in (SHIPPED, MACHINE) if file.is_file()]
    files += [config] if config is not None else []
    return _settle(tuple(read_layer(file) for file in files))


def read_layer(file: Path) -> Layer:
    """What one YAML file sets; its keys are known, its values are not yet checked.

    Raises:
        SettingsError: the file cannot be read, is not YAML, or has an unknown or a double key.
    """
    try:
        loader = yaml.SafeLoader(file.read_text(encoding="utf-8"))
        root = loader.get_single_node()
        return {} if root is None else dict(_walk(loader, root, Settings, file, ""))
    except OSError as failure:
        raise SettingsError(f"{file} cannot be read: {failure.strerror}.") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{file} is not text in UTF-8.") from None
    except yaml.MarkedYAMLError as failure:
        line = failure.problem_mark.line + 1 if failure.problem_mark else 1
        raise SettingsError(f"{file}, line {line}: not YAML, {failure.problem}.") from None
    except yaml.YAMLError as failure:
        raise SettingsError(f"{file} is not YAML: {failure}.") from None


def _walk(
    loader: yaml.SafeLoader, node: yaml.Node, section: type[Section], file: Path, above: str
) -> Iterator[tuple[str, Setting]]:
    """The settings beneath a mapping, by path, each with the line it stands on."""
    if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null":
        return
    if not isinstance(node, yaml.MappingNode):
        raise SettingsError(
            f"{_place(file, node)}: {above or 'the file'} holds settings, it is not one itself.",
            f"It may hold {', '.join(section.model_fields)}.",
        )
    seen: set[str] = set()
    for key_node, value_node in node.value:
        key = str(key_node.value)
        path = f"{above}.{key}" if above else key
        if key not in section.model_fields:
            raise SettingsError(
                f"{_place(file, key_node)}: there is no setting {path}.", _nearest(key, section)
            )
        if key in seen:
            raise SettingsError(f"{_place(file, key_node)}: {path} is set twice.", "Keep one.")
        seen.add(key)
        kind = section.model_fields[key].annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from _walk(loader, value_node, kind, file, path)
        else:
            yield path, Setting(loader.construct_document(value_node), _place(file, value_node))


def _place(file: Path, node: yaml.Node) -> str:
    return f"{file}, line {node.start_mark.line + 1}"


def _nearest(key: str, section: type[Section]) -> str:
    known = list(section.model_fields)
    near = difflib.get_close_matches(key, known, n=1)
    return f"Is {near[0]} meant?" if near else f"Known here: {', '.join(known)}."


def _settle(layers: tuple[Layer, ...]) -> Settings:
    """Lay the layers over each other and check what comes out."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for path, setting in layer.items():
            *sections, name = path.split(".")
            place = merged
            for section in sections:
                place = place.setdefault(section, {})
            place[name] = setting.value
    try:
        settings = Settings.model_validate(merged)
    except ValidationError as failure:
        error = failure.errors()[0]
        path = ".".join(str(part) for part in _own(error["loc"]))
        raise SettingsError(
            f"{_origin(layers, path, 'Settings')}: {path} is {error['input']!r}.",
            f"Allowed is {allowed(path)}.",
        ) from None
    settings._layers = layers
    return settings


def _own(location: tuple[int | str, ...]) -> Iterator[str]:
    """The part of an error's location that is a setting's path."""
    section: object = Settings
    for part in location:
        if not (isinstance(section, type) and issubclass(section, Section)):
            return
        yield str(part)
        field = section.model_fields.get(str(part))
        section = field.annotation if field else None


def _origin(layers: tuple[Layer, ...], path: str, otherwise: str) -> str:
    return next((layer[path].origin for layer in reversed(layers) if path in layer), otherwise)


_KINDS = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "string": "text that is not empty",
}


def allowed(path: str) -> str:
    """What a setting may be, in words, as in "a whole number from 1 to 64"."""
    section: type[BaseModel] = Settings
    *sections, name = path.split(".")
    for part in sections:
        kind = section.model_fields[part].annotation
        assert isinstance(kind, type), f"{part} is a section"
        section = kind
    schema = section.model_json_schema()["properties"][name]
    return " or ".join(_words(choice) for choice in schema.get("anyOf", [schema]))


def _words(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return " or ".join(str(choice) for choice in schema["enum"])
    kind = str(schema["type"])
    words = _KINDS.get(kind, kind)
    least = schema.get("minimum", schema.get("exclusiveMinimum"))
    most = schema.get("maximum", schema.get("exclusiveMaximum"))
    between = " between {:g} and {:g}" if "exclusiveMinimum" in schema else " from {:g} to {:g}"
    return words + (between.format(least, most) if least is not None else "")
