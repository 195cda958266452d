"""Makes the sample clips from photographs in Python packages.

    python samples/make.py samples/clips

No third-party file is committed, and the clips are the same every time. The fake among them is
labelled in the picture.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import av
import cv2
import numpy as np
import scenes
from camera import RATE, Pixels
from faces import fetch_faces
from scenes import FACE, Portrait

from edge.scan.faces.detector import FaceDetector, load_detector

PEOPLE = ("obama", "obama2", "biden", "coelho")
PHOTOS = Path(__file__).resolve().parents[1] / "third_party" / "faces"


def main() -> None:
    """Make all clips in the folder given as the first argument.

    A person, a photograph and a swap are chosen so that the shipped models can answer them.
    """
    folder = Path(sys.argv[1])
    cv2.setNumThreads(1)
    detector = load_detector()
    photos = fetch_faces(PHOTOS)
    people = {name: find_portrait(photos[name], detector) for name in PEOPLE}
    with tempfile.TemporaryDirectory(prefix="truelight-samples-") as scratch:
        make_all(Path(scratch), people)
        shutil.copy(photos["obama"], Path(scratch) / "photograph.jpg")
        folder.mkdir(parents=True, exist_ok=True)
        for clip in sorted(Path(scratch).iterdir()):
            shutil.move(clip, folder / clip.name)
            print(folder / clip.name)


def find_portrait(path: Path, detector: FaceDetector) -> Portrait:
    """Read a photograph, find its face and resize the photograph so that the face fits."""
    read = cv2.imread(str(path))
    if read is None:
        raise OSError(f"{path} is not a picture")
    pixels = np.asarray(cv2.cvtColor(read, cv2.COLOR_BGR2RGB), np.uint8)
    face = detector.detect(pixels)[0]
    box = face.box
    scale = FACE / max(box.width, box.height)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return Portrait(
        np.asarray(cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=how), np.uint8),
        (scale * (box.x + box.width / 2), scale * (box.y + box.height / 2)),
        (scale * face.keypoints[:4]).astype(np.float32),
    )


def make_all(folder: Path, people: dict[str, Portrait]) -> None:
    """Render the clips, two at a time. The numbers are seeds."""
    obama, smiling, biden, coelho = (people[name] for name in PEOPLE)
    videos = {
        "one-person.mp4": scenes.one_person(smiling, 1),
        "two-people-crossing.mp4": scenes.two_people(obama, biden, 2),
        "pasted-face.mp4": scenes.pasted_face(coelho, biden, 3),
        "too-small.mp4": scenes.too_small(biden, 4),
        "nobody-there.webm": scenes.nobody_there(5),
    }
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda name: write_video(folder / name, videos[name]), videos))
    whole = (folder / "one-person.mp4").read_bytes()
    (folder / "broken.mp4").write_bytes(whole[: len(whole) // 2])


def write_video(path: Path, frames: Iterator[Pixels]) -> None:
    """Encode frames as H.264 in MP4 or VP8 in WebM, depending on the extension."""
    codec, options = "libx264", {"preset": "superfast", "crf": "26"}
    if path.suffix == ".webm":
        codec, options = "libvpx", {"deadline": "realtime", "cpu-used": "16", "b": "2M"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE, options=options)
        assert isinstance(stream, av.VideoStream)
        first = next(frames)
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        for pixels in chain([first], frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        container.mux(stream.encode())


if __name__ == "__main__":
    main()
