"""What batches are made of: blends, treatments, draws; and that nothing gives fakes away."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from training_data import cache_features, draw_folder, face_points, greener, material, scenery

from edge.errors import TruelightError
from export.clip.teacher import load_features
from export.data.augment import CENTRE_CROP, MIN_SIDE, Augmentation, h264, jpeg, random_augmentation
from export.data.blends import Flicker, blend_of
from export.data.folders import Example, ExampleSampler, PairSampler, TrainingData, read_folder
from export.train.batches import Batches, Mix, Phase

PHASES = (Phase(32, 4, 8, 1e-3), Phase(48, 2, 4, 5e-4))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_folder(tmp_path_factory.mktemp("drawn") / "crops")


def test_a_blend_changes_only_the_face() -> None:
    for seed in range(24):
        image = scenery(seed, 128)
        rng = np.random.default_rng(seed)
        blend = blend_of(image, face_points(128), 0.5, rng)
        real, fake = blend.target, blend.fake()
        change = np.abs(real.astype(int) - fake).sum(axis=2)
        corners = np.concatenate(
            [change[:6, :6], change[:6, -6:], change[-6:, :6], change[-6:, -6:]]
        )
        assert change[30:100, 30:100].mean() > 1.0
        assert corners.max() <= 6, "rounding at most"


def test_ease_makes_blends_more_visible() -> None:
    def visible(ease: float) -> float:
        changes = []
        for seed in range(30):
            rng = np.random.default_rng(seed)
            blend = blend_of(scenery(seed, 96), face_points(96), ease, rng)
            real, fake = blend.target, blend.fake()
            changes.append(np.abs(real.astype(int) - fake).mean())
        return float(np.mean(changes))

    assert visible(1.0) > 1.3 * visible(0.0)


def test_masks_cover_the_face_or_parts_of_it() -> None:
    points = face_points(96)
    areas = [
        float((blend_of(scenery(seed), points, 1.0, np.random.default_rng(seed)).mask > 0.5).mean())
        for seed in range(60)
    ]
    assert max(areas) > 3 * min(areas)


def test_flicker_changes_only_the_face() -> None:
    blend = blend_of(scenery(4), face_points(96), 1.0, np.random.default_rng(0))
    steady = blend.fake().astype(int)
    for flicker in (Flicker(amount=0.5), Flicker(shift=(0.05, 0.0)), Flicker(tint=(9.0, 0.0, 0.0))):
        change = np.abs(blend.fake(flicker) - steady).sum(axis=2)
        assert change.max() > 3
        assert change[:4, :4].max() == 0


def test_an_augmentation_is_repeatable() -> None:
    rng = np.random.default_rng(1)
    image = scenery(1)
    for _ in range(20):
        treatment = random_augmentation(rng)
        assert np.array_equal(treatment.apply(image, 1.0, 40), treatment.apply(image, 1.0, 40))


def test_the_centre_crop_only_crops() -> None:
    grey = np.arange(256, dtype=np.uint8)[None, :, None].repeat(256, 0).repeat(3, 2)
    cut = CENTRE_CROP.apply(grey, 1.0, 246)
    assert np.array_equal(cut, grey[5:251, 5:251])


def test_margins_are_cropped() -> None:
    image = np.zeros((160, 160, 3), np.uint8)
    image[30:130, 30:130] = 200  # the crop of a picture with margin 1.6
    rngs = [np.random.default_rng(seed) for seed in range(20)]
    cuts = [random_augmentation(rng).apply(image, 1.6, 40) for rng in rngs]
    assert np.median([(c > 60).mean() for c in cuts]) > 0.97


def test_augmentations_cover_sizes_and_compressions() -> None:
    drawn = [random_augmentation(np.random.default_rng(seed)) for seed in range(400)]
    sizes = [treatment.px for treatment in drawn if treatment.px]
    assert min(sizes) in range(MIN_SIDE, 46)
    assert max(sizes) > 150
    assert {len(treatment.qualities) for treatment in drawn} == {0, 1, 2}
    assert 20 < sum(treatment.crf > 0 for treatment in drawn) < 100
    fine = np.random.default_rng(0).integers(0, 256, (112, 112, 3)).astype(np.uint8)
    assert Augmentation(px=40).apply(fine, 1.0, 112).std() < 0.6 * fine.std()


def test_stronger_compression_loses_more() -> None:
    image = np.random.default_rng(0).integers(0, 255, (48, 64, 3)).astype(np.uint8)

    def lost(other: np.ndarray) -> float:
        assert other.shape == image.shape
        return float(np.abs(other.astype(int) - image).mean())

    assert lost(jpeg(image, 30)) > lost(jpeg(image, 95))
    assert lost(h264(image, 40)) > lost(h264(image, 20)) > 0
    assert np.array_equal(h264(image, 30), h264(image, 30))


def test_batches_are_a_function_of_seed_and_step(folder: Path) -> None:
    one, other = (Batches(material(read_folder(folder)), PHASES, Mix(), seed=7) for _ in range(2))
    for step in (0, 5):
        batch, again = one[step], other[step]
        assert torch.equal(batch.crops, again.crops)
        assert batch.labels.tolist() == [0.0, 1.0] * (len(batch.labels) // 2)
        assert set(batch.rows.tolist()) == {-1}
    assert one[0].crops.shape == (8, 32, 32, 3)
    assert one[5].crops.shape == (4, 48, 48, 3)
    assert not torch.equal(one[0].crops, one[1].crops)


def test_distillation_batches_mix_labelled_and_cached_examples(
    folder: Path, tmp_path: Path
) -> None:
    stills = draw_folder(tmp_path / "stills", sources=4, first=50)
    table = (stills / "labels.tsv").read_text()
    (stills / "labels.tsv").write_text(
        table.replace("\tREAL\t", "\t\t").replace("\tFAKE\t", "\t\t")
    )
    with pytest.raises(TruelightError, match="has the label ''"):
        read_folder(stills)
    pictures = [*read_folder(folder), *read_folder(stills, unlabelled=True)]
    names = list(load_features(cache_features(folder, tmp_path / "f")).names)
    names += [p.key for p in pictures if not p.labelled]
    names.remove("crops/0_REAL.png")
    rows = {name: row for row, name in enumerate(names)}
    made = Batches(material(pictures, rows), [Phase(32, 8, 32, 1e-3, "features")], Mix(), seed=1)
    labels = torch.cat([made[step].labels for step in range(8)])
    found = torch.cat([made[step].rows for step in range(8)])
    labelled = ~labels.isnan()
    assert ((found >= 0) & labelled).any(), "pairs"
    assert ((found < 0) & labelled).any(), "blends"
    assert ((found >= 0) & ~labelled).any(), "single pictures"
    assert not ((found < 0) & ~labelled).any()
    unlabelled = {rows[p.key] for p in pictures if not p.labelled}
    assert unlabelled & set(found[~labelled].tolist())
    assert not unlabelled & set(found[labelled].tolist())
    later = Batches(material(pictures, rows), [Phase(32, 4, 32, 1e-3)], Mix(), seed=1)
    assert not later[0].labels.isnan().any()


def test_sources_are_drawn_by_the_weight_of_their_folder(folder: Path, tmp_path: Path) -> None:
    other = draw_folder(tmp_path / "others", 12, first=50)
    examples = [*read_folder(folder), *read_folder(other)]
    rng = np.random.default_rng(0)
    for sampler in (
        PairSampler(examples, {"others": 0.25}),
        ExampleSampler(examples, {"others": 0.25}),
    ):
        drawn = [sampler.draw(rng) for _ in range(2000)]
        folders = [(one if isinstance(one, Example) else one[0]).folder for one in drawn]
        assert np.mean([name == "others" for name in folders]) == pytest.approx(0.2, abs=0.03)


def test_pairs_are_from_one_folder(folder: Path, tmp_path: Path) -> None:
    """They were kept differently, so that would tell the class."""
    other = draw_folder(tmp_path / "others", 12)
    pairs = PairSampler([*read_folder(folder), *read_folder(other)])
    rng = np.random.default_rng(0)
    assert all(real.folder == fake.folder for real, fake in (pairs.draw(rng) for _ in range(60)))


def read_off(crop: np.ndarray) -> list[float]:
    """What tells of the file and not of the face: how it compresses, its blocks, its edges."""
    _, packed = cv2.imencode(".png", crop)
    _, coded = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, 90])
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(float)
    steps = np.abs(np.diff(grey, axis=1)).mean(axis=0)
    blocks = steps[7::8].mean() - np.delete(steps, np.arange(7, len(steps), 8)).mean()
    return [len(packed), len(coded), blocks, float(cv2.Laplacian(grey, cv2.CV_64F).std())]


def told_apart(crops: np.ndarray, labels: np.ndarray) -> float:
    """AUC of a linear classifier on what can be read off, over four parts left out in turn."""
    from export.metrics import auc

    x = np.array([read_off(crop) for crop in crops])
    x = np.c_[(x - x.mean(0)) / x.std(0), np.ones(len(x))]
    scores = np.zeros(len(x))
    parts = np.arange(len(x)) // 2 % 4  # both of a couple fall into one part
    for part in range(4):
        train = parts != part
        fit = np.linalg.lstsq(x[train], 2 * labels[train] - 1, rcond=None)[0]
        scores[~train] = x[~train] @ fit
    return auc(labels, scores)


def store(folder: Path, leaks: bool) -> list[Example]:
    """Sixty pairs alike but for how they are kept: fakes as small JPEGs with a margin."""
    folder.mkdir()
    pictures = []
    for number in range(60):
        rng = np.random.default_rng(number)
        fine = rng.integers(0, 256, (60, 60, 3)).astype(np.uint8)
        image = cv2.addWeighted(scenery(number, 240), 0.75, cv2.resize(fine, (240, 240)), 0.25, 0)
        for fake in (False, True):
            quality, margin = (60, 1.5) if fake and leaks else (95, 1.0)
            edge = round(240 * (margin - 1) / 2)
            kept = cv2.copyMakeBorder(image, edge, edge, edge, edge, cv2.BORDER_REFLECT)
            path = folder / f"{number}_{fake}.jpg"
            cv2.imwrite(str(path), kept, [cv2.IMWRITE_JPEG_QUALITY, quality])
            pictures.append(Example(path, fake, str(number), margin, f"kept/{path.name}"))
    return pictures


def seen(made_of: TrainingData, mix: Mix, steps: int) -> tuple[np.ndarray, np.ndarray]:
    batches = Batches(made_of, [Phase(48, steps, 64, 1e-3)], mix, seed=3)
    both = [batches[step] for step in range(steps)]
    return np.concatenate([b.crops.numpy() for b in both]), np.concatenate(
        [b.labels.numpy() for b in both]
    )


def test_file_properties_do_not_leak_the_label(tmp_path: Path) -> None:
    pictures = store(tmp_path / "kept", leaks=True)
    raw = np.stack(
        [cv2.resize(p.read(), (48, 48), interpolation=cv2.INTER_NEAREST) for p in pictures]
    )
    assert told_apart(raw, np.array([float(p.fake) for p in pictures])) > 0.8, "there is a leak"
    crops, labels = seen(material(pictures, blends=False), Mix(), 12)
    assert told_apart(crops, labels) < 0.57


def test_file_properties_do_not_leak_which_image_is_blended(tmp_path: Path) -> None:
    pictures = store(tmp_path / "kept", leaks=False)
    mix = Mix(blends_at_start=1.0, blends_at_end=1.0, settled=1e-9)
    crops, labels = seen(material(pictures), mix, 16)
    assert told_apart(crops, labels) < 0.57


def test_images_of_different_margins_are_shifted_alike(tmp_path: Path) -> None:
    """A dot in the middle of the face: where it is seen must not tell the class."""
    image = np.zeros((200, 200, 3), np.uint8)
    cv2.circle(image, (100, 100), 20, (255, 255, 255), -1)
    wide = np.asarray(cv2.copyMakeBorder(image, 60, 60, 60, 60, cv2.BORDER_CONSTANT), np.uint8)
    for seed in range(40):
        treatment = random_augmentation(np.random.default_rng(seed))
        tight, loose = (
            treatment.apply(picture, margin, 48, 1.0).astype(int)
            for picture, margin in ((image, 1.0), (wide, 1.6))
        )
        assert np.abs(tight - loose).mean() < 4


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("file\tlabel\na.png\tREAL\n", "source"),
        ("file\tlabel\tsource\na.png\tMAYBE\ts\n", "MAYBE"),
        ("file\tlabel\tsource\n", "lists no files"),
    ],
)
def test_wrong_tables_are_refused(tmp_path: Path, table: str, words: str) -> None:
    (tmp_path / "labels.tsv").write_text(table)
    with pytest.raises(TruelightError, match=words):
        read_folder(tmp_path)


def test_keys_begin_with_the_folder_name(tmp_path: Path) -> None:
    pictures = read_folder(draw_folder(tmp_path / "mine", 1, greener))
    assert [p.key for p in pictures] == ["mine/0_REAL.png", "mine/0_FAKE.png"]
    assert {p.folder for p in pictures} == {"mine"}
