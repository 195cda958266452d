"""Face landmarks of training pictures, found once and kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.scan.downloads import MESH, read_model
from export.data.folders import Image, Picture

# Indices in MediaPipe's 468-point mesh: between the brows, under the nose, tip of the chin.
GLABELLA, NOSE_BASE, CHIN = 9, 2, 152
# The outlines of the lips, and of both eyes with their brows.
MOUTH = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 185, 40, 39, 37, 0, 267, 269, 270, 409)
EYES = (33, 133, 144, 145, 153, 46, 53, 52, 65, 55, 362, 263, 373, 374, 380, 276, 283, 282, 295)
SIDE = 192
CONTEXT = 1.35  # the mesh network wants the face with a quarter of margin on each side


class LandmarkNet:
    """MediaPipe's face mesh (468 points) run by LiteRT.

    Raises TruelightError if its model file is not on this machine.
    """

    def __init__(self) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._net = Interpreter(model_content=read_model(MESH), num_threads=1)
        self._net.allocate_tensors()
        self._input = self._net.get_input_details()[0]["index"]
        self._outputs = [detail["index"] for detail in self._net.get_output_details()]

    def __call__(self, image: Image, margin: float = 1.0) -> tuple[NDArray[np.float32], float]:
        """Points float32 [468, 2] in pixels of `image` and the presence logit.

        image: uint8 [h, w, 3] RGB, square, the face's box `margin` times smaller and centred.
        """
        side = image.shape[0]
        want = side / margin * CONTEXT
        pad = max(0, round((want - side) / 2))
        cut = max(0, round((side - want) / 2))
        framed = cv2.copyMakeBorder(
            image[cut : side - cut, cut : side - cut], pad, pad, pad, pad, cv2.BORDER_REPLICATE
        )
        scaled = cv2.resize(framed, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        self._net.set_tensor(self._input, scaled[None].astype(np.float32) / 255.0)
        self._net.invoke()
        presence, mesh = sorted((self._net.get_tensor(i).ravel() for i in self._outputs), key=len)
        points = mesh.reshape(-1, 3)[:, :2] * (framed.shape[0] / SIDE) + cut - pad
        return points.astype(np.float32), float(presence[0])


def landmarks_of(
    pictures: Sequence[Picture],
    cache: Path,
    progress: Callable[[int, int], None],
    least_presence: float = 5.0,
) -> dict[str, NDArray[np.float32]]:
    """Landmarks by picture path, as fractions of the picture's side; faces not found are left out.

    The cache (one .npz) is filled with what is missing and written whole.
    """
    known: dict[str, NDArray[np.float32]] = {}
    if cache.is_file():
        with np.load(cache) as kept:
            known = dict(zip(kept["paths"].tolist(), kept["points"], strict=True))
    missing = [picture for picture in pictures if str(picture.path) not in known]
    if missing:
        net = LandmarkNet()
        nothing = np.full((468, 2), np.nan, np.float32)
        for done, picture in enumerate(missing):
            image = picture.read()
            points, presence = net(image, picture.margin)
            found = presence >= least_presence
            known[str(picture.path)] = points / image.shape[0] if found else nothing
            if done % 500 == 0:
                progress(done, len(missing))
        _save(cache, known)
    wanted = (str(picture.path) for picture in pictures)
    return {path: known[path] for path in wanted if not np.isnan(known[path][0, 0])}


def _save(cache: Path, known: dict[str, NDArray[np.float32]]) -> None:
    cache.parent.mkdir(parents=True, exist_ok=True)
    unfinished = cache.with_suffix(".part.npz")
    np.savez(unfinished, paths=np.array(list(known)), points=np.stack(list(known.values())))
    unfinished.replace(cache)
