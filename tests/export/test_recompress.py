"""Clips recompressed, made smaller and filmed off a screen."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest
from clips import card, number_of, write_clip, write_sound

from edge.errors import TruelightError
from edge.scan.media.client import open_clip
from edge.scan.media.sampling import Sampling
from export.data.augment import h264
from export.data.recompress import RECOMPRESSIONS, UnreadableError, recompress
from export.data.screen_capture import ScreenCapture


def opened(path: Path) -> tuple[list[float], list[np.ndarray], dict[str, object]]:
    """Times, pictures as uint8 RGB, and what the container says."""
    with av.open(str(path)) as clip:
        stream = clip.streams.video[0]
        frames = list(clip.decode(stream))
        facts = {
            "codec": stream.codec_context.name,
            "sounds": len(clip.streams.audio),
            "tags": (int(frames[0].colorspace), int(frames[0].color_range)),
        }
        return [f.time for f in frames], [f.to_ndarray(format="rgb24") for f in frames], facts


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve numbered cards with sound, at times of their own."""
    times = [0.0, 0.04, 0.1, 0.15, 0.2, 0.24, 0.3, 0.35, 0.4, 0.44, 0.5, 0.6]
    path = tmp_path_factory.mktemp("clips") / "cards.mp4"
    return write_clip(path, 12, times=times, sound="aac")


@pytest.fixture(scope="module")
def made(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The clip in every way."""
    folder = tmp_path_factory.mktemp("made")
    return {word: recompress(clip, way, folder) for word, way in RECOMPRESSIONS.items()}


def test_frames_and_timestamps_stay(clip: Path, made: dict[str, Path]) -> None:
    times, before, _ = opened(clip)
    for word in ("crf23", "crf32", "crf40", "half"):
        again, after, facts = opened(made[word])
        assert again == pytest.approx(times, abs=0.001)
        assert [number_of(picture) for picture in after] == list(range(12))
        assert facts == {"codec": "h264", "sounds": 0, "tags": (1, 1)}
    fine = np.abs(opened(made["crf23"])[1][3].astype(int) - before[3])
    assert fine.mean() < 3, "colours stay"
    assert opened(made["half"])[1][0].shape == (120, 160, 3)


def test_higher_rate_factors_lose_more(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (60, 80, 3), np.uint8).repeat(4, axis=0).repeat(4, axis=1)
    pictures = [np.roll(noise, 3 * n, axis=1) for n in range(6)]
    clip = write_clip(tmp_path / "noise.mp4", pictures, options={"crf": "4"})
    lost, sizes = [], []
    for word in ("crf23", "crf32", "crf40"):
        path = recompress(clip, RECOMPRESSIONS[word], tmp_path / "made")
        lost.append(np.abs(opened(path)[1][3].astype(int) - pictures[3]).mean())
        sizes.append(path.stat().st_size)
    assert lost == sorted(lost)
    assert sizes == sorted(sizes, reverse=True)


def test_files_are_repeatable_and_cached(clip: Path, made: dict[str, Path], tmp_path: Path) -> None:
    again = {
        word: recompress(clip, RECOMPRESSIONS[word], tmp_path) for word in ("crf32", "refilmed")
    }
    for word, path in again.items():
        assert path.name == made[word].name
        assert path.read_bytes() == made[word].read_bytes()
    assert len({path.name for path in made.values()}) == len(RECOMPRESSIONS)
    again["crf32"].write_bytes(b"kept")
    assert recompress(clip, RECOMPRESSIONS["crf32"], tmp_path).read_bytes() == b"kept"
    other = write_clip(tmp_path / clip.name, 3)
    assert recompress(other, RECOMPRESSIONS["crf32"], tmp_path).name != again["crf32"].name


def test_other_processes_give_the_same_files(tmp_path: Path) -> None:
    """Whatever lies in their memory: x264's AVX-512 code reads some of it before it is set."""
    rng = np.random.default_rng(0)
    noise = rng.integers(100, 132, (30, 40, 3), np.uint8).repeat(4, axis=0).repeat(4, axis=1)
    clip = write_clip(tmp_path / "noise.mp4", [np.roll(noise, n, axis=1) for n in range(8)])
    made = [recompress(clip, RECOMPRESSIONS["crf32"], tmp_path / "made").read_bytes()]
    crop = h264(noise, 30)
    for filled_with in (85, 170):
        folder = tmp_path / str(filled_with)
        code = (
            "import sys, pathlib, numpy as np\n"
            "from export.data.augment import h264\n"
            "from export.data.recompress import RECOMPRESSIONS, recompress\n"
            "clip, noise, folder = map(pathlib.Path, sys.argv[1:])\n"
            "np.save(folder / 'crop.npy', h264(np.load(noise), 30))\n"
            "recompress(clip, RECOMPRESSIONS['crf32'], folder)\n"
        )
        folder.mkdir()
        np.save(tmp_path / "noise.npy", noise)
        tunables = f"glibc.malloc.perturb={filled_with}:glibc.malloc.mmap_threshold=1073741824"
        subprocess.run(
            [sys.executable, "-c", code, clip, tmp_path / "noise.npy", folder],
            env={**os.environ, "GLIBC_TUNABLES": tunables},
            check=True,
        )
        made += [path.read_bytes() for path in folder.glob("*.mp4")]
        assert np.array_equal(np.load(folder / "crop.npy"), crop)
    assert len(made) == 3
    assert len(set(made)) == 1


def test_rotated_clips_become_upright(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "turned.mp4", 4, rotation=90)
    picture = opened(recompress(clip, RECOMPRESSIONS["crf23"], tmp_path / "made"))[1][2]
    assert picture.shape == (240, 320, 3)
    assert number_of(picture) == 2


def test_odd_sides_are_cropped(tmp_path: Path) -> None:
    pictures = [card(161, 121, n) for n in range(3)]
    clip = write_clip(tmp_path / "odd.mp4", pictures, pix_fmt="yuv444p")
    shapes = [
        opened(recompress(clip, RECOMPRESSIONS[word], tmp_path / "made"))[1][0].shape[:2]
        for word in ("crf23", "half", "refilmed")
    ]
    assert shapes == [(120, 160), (60, 80), (120, 160)]


@pytest.mark.parametrize("rate", [Fraction(30000, 1001), 3])
def test_of_a_smoothed_clip_only_the_frames_that_a_scan_takes_are_made(
    rate: Fraction | int, tmp_path: Path
) -> None:
    sampling = Sampling(window_frames=8, window_rate=4.0, max_windows=2)
    clip = write_clip(tmp_path / "long.mp4", 7 * int(rate) + 1, rate=rate)
    made = recompress(clip, RECOMPRESSIONS["smooth"], tmp_path / "made", sampling)
    with open_clip(clip, sampling) as before:
        wanted = [(f.window, round(f.time, 2), number_of(f.pixels)) for f in before.frames()]
        seconds = before.clip.seconds
    with open_clip(made, sampling) as after:
        assert after.clip.seconds == pytest.approx(seconds, abs=0.001)
        found = [(f.window, round(f.time, 2), number_of(f.pixels)) for f in after.frames()]
    assert found == wanted
    assert len(opened(made)[0]) == len(wanted)
    assert made != recompress(clip, RECOMPRESSIONS["smooth"], made.parent, Sampling(8, 4.0, 1))


def _apart(one: float, other: float) -> float:
    return abs(one - other)


def test_a_smoothed_frame_is_the_same_among_all_and_among_the_sampled(
    clip: Path, made: dict[str, Path], tmp_path: Path
) -> None:
    sampling = Sampling(window_frames=4, window_rate=10.0, max_windows=1)
    times, pictures, facts = opened(recompress(clip, RECOMPRESSIONS["smooth"], tmp_path, sampling))
    every = dict(zip(*opened(made["smooth"])[:2], strict=True))
    assert len(times) == 4 < len(every)
    assert facts["tags"] == (1, 1)
    for time, picture in zip(times, pictures, strict=True):
        whole = every[min(every, key=partial(_apart, time))]
        assert number_of(picture) == number_of(whole)
        assert np.abs(picture.astype(int) - whole).mean() < 3


def test_unreadable_clips_are_refused(tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no clip")
    sound = write_sound(tmp_path / "sound.m4a")
    for path in (text, sound):
        for word, sampling in (("crf32", None), ("smooth", Sampling(8, 4.0, 12))):
            with pytest.raises(UnreadableError, match=f"{path.name} cannot be recompressed"):
                recompress(path, RECOMPRESSIONS[word], tmp_path / "made", sampling)
    assert list((tmp_path / "made").iterdir()) == [], "nothing is left half written"
    with pytest.raises(TruelightError, match="cannot be written") as refused:
        recompress(write_clip(tmp_path / "clip.mp4", 2), RECOMPRESSIONS["crf32"], text)
    assert not isinstance(refused.value, UnreadableError), "that is not the clip's fault"


def test_truncated_clips_are_converted_up_to_the_damage(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "whole.mkv", 40, options={"g": "10"})
    data = whole.read_bytes()
    broken = tmp_path / "broken.mkv"
    broken.write_bytes(data[: len(data) // 2])
    numbers = [
        number_of(p)
        for p in opened(recompress(broken, RECOMPRESSIONS["crf23"], tmp_path / "made"))[1]
    ]
    assert 5 < len(numbers) < 40
    assert numbers == list(range(len(numbers)))


# ---- Filmed off a screen


def test_the_screen_is_filmed_at_an_angle() -> None:
    white = np.full((240, 320, 3), 255, np.uint8)
    seen = ScreenCapture().film(white, 0)
    assert seen.shape == white.shape
    lit = seen.mean(axis=2) > 120
    assert 0.75 < lit.mean() < 0.97
    assert not lit[:8, :8].any()
    assert lit[120, 160]
    top = [int(np.argmax(lit[:, x])) for x in (40, 280)]
    assert top[0] > top[1] + 4, "its upper edge is not level"


def test_the_phone_adds_moire_noise_and_glare() -> None:
    grey = np.full((240, 320, 3), 128, np.uint8)
    phone = ScreenCapture()
    one, two = phone.film(grey, 0).astype(float), phone.film(grey, 1).astype(float)
    middle = np.s_[60:180, 80:240]
    assert 2 < (one - two)[middle].std() < 12, "noise differs from picture to picture"
    assert one[30:90, 190:260].mean() > one[150:210, 60:130].mean() + 10, "a lamp shines in"
    bands = one[middle].mean(axis=2) - np.median(one[middle])
    spectrum = np.abs(np.fft.fft2(bands))
    spectrum[:2, :2] = 0
    assert spectrum.max() > 6 * np.median(spectrum), "the lamps of the screen beat with the sensor"
