"""Loads the settings and refuses wrong ones.

Three layers, the later one wins: `config/truelight.yaml`, `/etc/truelight/truelight.yaml`
for this machine, and a file or an option of the command line. Every setting knows its origin; an
unknown or wrong one is refused with its path, its line and what is allowed.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs
import yaml
from pydantic import BaseModel, PrivateAttr, ValidationError

from edge import settings_schema as schema
from edge.errors import TruelightError
from edge.language import N_
from edge.settings_schema import Section

HOME = Path(__file__).resolve().parent.parent
"""The folder of `config/` and `models/`."""

SHIPPED = HOME / "config" / "truelight.yaml"
MACHINE = Path("/etc/truelight/truelight.yaml")


class SettingsError(TruelightError):
    """An unknown or wrong setting, or a settings file that cannot be read."""


@dataclass(frozen=True)
class Setting:
    """One value of a layer and its origin."""

    value: object
    origin: str


Layer = Mapping[str, Setting]
"""Settings by their path, as in `scan.windows`."""


class Settings(Section):
    """All settings. Frozen: `changed` makes a copy."""

    model: schema.ModelSettings = schema.ModelSettings()
    scan: schema.ScanSettings = schema.ScanSettings()
    second_opinion: schema.SecondOpinionSettings = schema.SecondOpinionSettings()
    faces: schema.FaceSettings = schema.FaceSettings()
    decode: schema.DecodeSettings = schema.DecodeSettings()
    panel: schema.PanelSettings = schema.PanelSettings()
    button: schema.ButtonSettings = schema.ButtonSettings()
    lamps: schema.LampSettings = schema.LampSettings()
    display: schema.DisplaySettings = schema.DisplaySettings()
    camera: schema.CameraSettings = schema.CameraSettings()
    stick: schema.StickSettings = schema.StickSettings()
    usb: schema.UsbSettings = schema.UsbSettings()
    inbox: schema.InboxSettings = schema.InboxSettings()
    store: schema.StoreSettings = schema.StoreSettings()
    language: schema.LanguageSettings = schema.LanguageSettings()
    health: schema.HealthSettings = schema.HealthSettings()
    web: schema.WebSettings = schema.WebSettings()

    _layers: tuple[Layer, ...] = PrivateAttr(default=())

    def origin(self, path: str) -> str:
        """The origin of `section.name`: a file with its line, an option, or "built in"."""
        return _origin(self._layers, path, N_("built in"))

    def changed(self, origin: str, values: Mapping[str, object]) -> Settings:
        """A copy with other values of some `section.name`.

        Raises SettingsError: a value is not allowed.
        """
        layer = {path: Setting(value, origin) for path, value in values.items()}
        return _merged((*self._layers, layer))

    @property
    def models_folder(self) -> Path:
        """The folder of bundles; a relative path starts at the program's folder."""
        return HOME / Path(self.model.folder).expanduser()

    @property
    def bundle_folder(self) -> Path:
        """The folder of the chosen bundle: a name within `models_folder`, or a path."""
        return self._bundle_at(self.model.bundle)

    @property
    def second_folder(self) -> Path:
        """The folder of the bundle for second opinions, whether it exists or not."""
        return self._bundle_at(self.second_opinion.bundle)

    def _bundle_at(self, name: str) -> Path:
        path = Path(name).expanduser()
        return self.models_folder / path if name == path.name else path

    @property
    def store_folder(self) -> Path:
        """The folder of the history: as set, else as systemd says, else the user's own."""
        if self.store.folder is not None:
            return Path(self.store.folder).expanduser()
        if systemd := os.environ.get("STATE_DIRECTORY"):
            return Path(systemd)
        return platformdirs.user_state_path("truelight")

    @property
    def inbox_folder(self) -> Path:
        """The folder for incoming clips."""
        folder = self.inbox.folder
        return self.store_folder / "inbox" if folder is None else Path(folder).expanduser()

    @property
    def spool_folder(self) -> Path:
        """The folder for uploads of the page, which its own user writes."""
        if self.web.spool is not None:
            return Path(self.web.spool).expanduser()
        if os.environ.get("STATE_DIRECTORY"):
            return Path("/var/spool/truelight")
        return self.store_folder / "spool"


def load_settings(config: Path | None = None) -> Settings:
    """The settings of this machine, overridden by the file `config` if given.

    Raises SettingsError: a file cannot be read, or has a wrong setting.
    """
    if not SHIPPED.is_file():
        message = N_("{file} is missing: Truelight runs from its own folder.").format(file=SHIPPED)
        remedy = N_("Install it with ./setup.sh run, or pip install --editable.")
        raise SettingsError(message, remedy)
    files = [file for file in (SHIPPED, MACHINE) if file.is_file()]
    files += [config] if config is not None else []
    return _merged(tuple(read_layer(file) for file in files))


def read_layer(file: Path) -> Layer:
    """The settings in one YAML file; keys are checked, values are not.

    Raises SettingsError: the file cannot be read, is not YAML, or has an unknown or duplicate key.
    """
    try:
        loader = yaml.SafeLoader(file.read_text(encoding="utf-8"))
        root = loader.get_single_node()
        return {} if root is None else dict(_walk(loader, root, Settings, file, ""))
    except OSError as failure:
        message = N_("{file} cannot be read: {why}.").format(file=file, why=failure.strerror)
        raise SettingsError(message) from None
    except UnicodeDecodeError:
        raise SettingsError(N_("{file} is not text in UTF-8.").format(file=file)) from None
    except yaml.MarkedYAMLError as failure:
        line = failure.problem_mark.line + 1 if failure.problem_mark else 1
        message = N_("{file}, line {number}: not YAML, {why}.")
        why = failure.problem
        raise SettingsError(message.format(file=file, number=line, why=why)) from None
    except yaml.YAMLError as failure:
        message = N_("{file} is not YAML: {why}.").format(file=file, why=failure)
        raise SettingsError(message) from None


def _walk(
    loader: yaml.SafeLoader, node: yaml.Node, section: type[Section], file: Path, above: str
) -> Iterator[tuple[str, Setting]]:
    """The settings in a mapping, by path, each with its line."""
    if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null":
        return
    if not isinstance(node, yaml.MappingNode):
        message = N_("{place}: {setting} must be a section, not a value.")
        known = ", ".join(section.model_fields)
        raise SettingsError(
            message.format(place=_place(file, node), setting=above or "the file"),
            N_("Settings of this section: {why}.").format(why=known),
        )
    seen: set[str] = set()
    for key_node, value_node in node.value:
        key = str(key_node.value)
        path = f"{above}.{key}" if above else key
        if key not in section.model_fields:
            message = N_("{place}: unknown setting {setting}.")
            raise SettingsError(
                message.format(place=_place(file, key_node), setting=path), _nearest(key, section)
            )
        if key in seen:
            message = N_("{place}: {setting} is set twice.")
            place = _place(file, key_node)
            raise SettingsError(message.format(place=place, setting=path), N_("Keep one."))
        seen.add(key)
        kind = section.model_fields[key].annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from _walk(loader, value_node, kind, file, path)
        else:
            yield path, Setting(loader.construct_document(value_node), _place(file, value_node))


def _place(file: Path, node: yaml.Node) -> str:
    return N_("{file}, line {number}").format(file=file, number=node.start_mark.line + 1)


def _nearest(key: str, section: type[Section]) -> str:
    known = list(section.model_fields)
    near = difflib.get_close_matches(key, known, n=1)
    if near:
        return N_("Did you mean {setting}?").format(setting=near[0])
    return N_("Known settings: {why}.").format(why=", ".join(known))


def _merged(layers: tuple[Layer, ...]) -> Settings:
    """Merge the layers, later ones over earlier ones, and check the result."""
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
        path = ".".join(str(part) for part in _path(error["loc"]))
        message = N_("{place}: {setting} is {why}.")
        origin = _origin(layers, path, "Settings")
        raise SettingsError(
            message.format(place=origin, setting=path, why=repr(error["input"])),
            N_("Allowed: {range}.").format(range=allowed(path)),
        ) from None
    settings._layers = layers
    return settings


def _path(location: tuple[int | str, ...]) -> Iterator[str]:
    """The part of a validation error's location that is a setting's path."""
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
    "integer": N_("a whole number"),
    "number": N_("a number"),
    "boolean": N_("true or false"),
    "string": N_("non-empty text"),
}


def allowed(path: str) -> str:
    """The allowed values of a setting in words, as in "a whole number from 1 to 64"."""
    section: type[BaseModel] = Settings
    *sections, name = path.split(".")
    for part in sections:
        kind = section.model_fields[part].annotation
        assert isinstance(kind, type), f"{part} is a section"
        section = kind
    described = section.model_json_schema()["properties"][name]
    return " or ".join(_words(choice) for choice in described.get("anyOf", [described]))


def _words(choice: Mapping[str, Any]) -> str:
    if "enum" in choice:
        return " or ".join(str(value) for value in choice["enum"])
    kind = str(choice["type"])
    words = _KINDS.get(kind, kind)
    least = choice.get("minimum", choice.get("exclusiveMinimum"))
    most = choice.get("maximum", choice.get("exclusiveMaximum"))
    if least is None:
        return words
    between = N_("{kind} from {least} to {most}")
    if "exclusiveMinimum" in choice:
        between = N_("{kind} between {least} and {most}")
    return between.format(kind=words, least=f"{least:g}", most=f"{most:g}")
