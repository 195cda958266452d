"""The settings: every section with its keys, defaults and allowed values.

`config/truelight.yaml` repeats them with comments; a test compares the two.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Pin = Annotated[int, Field(ge=0, le=27)]
"""A GPIO of the Pi's header, by its BCM number."""

DetectorName = Literal["blazeface", "mediapipe"]
"""The names in `edge.scan.faces.detector.DETECTORS`."""


class Section(BaseModel):
    """A group of settings; sections can contain sections."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class LanguageSettings(Section):
    """The language of what is written for people; the page follows each browser's."""

    display: Literal["en", "de"] = "en"
    report: Literal["en", "de"] = "en"


class ModelSettings(Section):
    """Which model bundle judges clips."""

    bundle: str = Field(default="truelight", min_length=1)
    folder: str = Field(default="models", min_length=1)


class ScanSettings(Section):
    """How much of a clip is scanned, and with how many threads."""

    windows: int = Field(default=12, ge=1, le=256)
    first: Annotated[int, Field(ge=1, le=100_000)] | None = None
    heat: bool = True
    threads: int = Field(default=0, ge=0, le=64)


class SecondOpinionSettings(Section):
    """A slower model, used where the first one is unsure.

    `auto` is the former name of `unsure`.
    """

    ask: Literal["never", "unsure", "always", "auto"] = "unsure"
    bundle: str = Field(default="thorough", min_length=1)
    least_memory: int = Field(default=2048, ge=256, le=1_000_000)
    seconds: float = Field(default=20.0, ge=1.0, le=3600.0)


class FaceSettings(Section):
    """How faces are found."""

    detector: DetectorName = "blazeface"
    most: int = Field(default=8, ge=1, le=64)
    least_score: float = Field(default=0.5, ge=0.0, le=1.0)


class DecodeSettings(Section):
    """Resource limits for untrusted files."""

    deadline: float = Field(default=30.0, ge=1.0, le=3600.0)
    budget: int = Field(default=60, ge=1, le=3600)
    megapixels: int = Field(default=12_000, ge=100, le=1_000_000)


class PanelSettings(Section):
    """The user interface of the box."""

    kind: Literal["hardware", "terminal", "none"] = "hardware"


class ButtonSettings(Section):
    """The push button, from its pin to ground."""

    pin: Pin = 17
    bounce: float = Field(default=0.05, ge=0.0, le=0.5)
    hold: float = Field(default=2.0, ge=0.5, le=10.0)
    long_hold: float = Field(default=6.0, ge=1.0, le=30.0)


class LampSettings(Section):
    """The two lamps."""

    green: Pin = 22
    red: Pin = 27
    active_high: bool = True


class DisplaySettings(Section):
    """The display on the I2C bus."""

    driver: Literal["ssd1306", "sh1106", "none"] = "ssd1306"
    bus: int = Field(default=1, ge=0, le=20)
    address: int = Field(default=0x3C, ge=0x08, le=0x77)
    upside_down: bool = False
    dim_after: float = Field(default=60.0, ge=5.0, le=86_400.0)
    sleep_after: float = Field(default=600.0, ge=10.0, le=86_400.0)


class CameraSettings(Section):
    """The camera and its recordings."""

    kind: Literal["picamera2", "file", "none"] = "picamera2"
    file: str | None = None
    seconds: float = Field(default=8.0, ge=2.0, le=60.0)
    width: int = Field(default=1280, ge=320, le=4096)
    height: int = Field(default=720, ge=240, le=2304)
    frame_rate: int = Field(default=30, ge=5, le=60)
    upside_down: bool = False
    deadline: float = Field(default=5.0, ge=1.0, le=60.0)
    patience: float = Field(default=30.0, ge=5.0, le=600.0)
    keep: bool = False


class StickSettings(Section):
    """What is written to a USB stick."""

    report: bool = True


class UsbSettings(Section):
    """What may be plugged in; read by root's `systemd/usb`, not by the daemon."""

    upkeep: bool = False


class InboxSettings(Section):
    """The folder for incoming clips; null is `inbox` within the store."""

    folder: str | None = None


class StoreSettings(Section):
    """Where and how much the box stores; a null folder is the system's default."""

    folder: str | None = None
    most_megabytes: int = Field(default=500, ge=10, le=1_000_000)
    most_days: int = Field(default=365, ge=1, le=36_500)
    free_megabytes: int = Field(default=300, ge=50, le=1_000_000)


class WebSettings(Section):
    """The page and the API: `truelight serve`, and truelight-web.service."""

    address: str | None = None
    port: int = Field(default=8443, ge=1, le=65_535)
    names: str = ""
    spool: str | None = None
    spool_megabytes: int = Field(default=1000, ge=10, le=1_000_000)
    clip_megabytes: int = Field(default=500, ge=1, le=1_000_000)


class HealthSettings(Section):
    """Limits of the box's health."""

    hot: float = Field(default=80.0, ge=40.0, le=110.0)
    stuck: float = Field(default=60.0, ge=10.0, le=3600.0)
