"""What pictures go through on their way to us: JPEG, and a video's H.264."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np

from export.training.data import Image


def jpeg(image: Image, quality: int) -> Image:
    """A picture after JPEG; uint8 [h, w, 3] RGB."""
    _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    again = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert again is not None  # what was just encoded decodes
    return np.asarray(again[..., ::-1], dtype=np.uint8)


def h264(image: Image, crf: int) -> Image:
    """A picture after H.264, as the first frame of a video; uint8 [h, w, 3] RGB, h and w even."""
    import av

    height, width = image.shape[:2]
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height = width, height
    encoder.pix_fmt, encoder.time_base = "yuv420p", Fraction(1, 25)
    encoder.thread_count = 1
    encoder.options = {"crf": str(crf), "preset": "veryfast", "tune": "zerolatency"}
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
    frame.pts = 0
    packets = [*encoder.encode(frame.reformat(format="yuv420p")), *encoder.encode(None)]
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    frames = [frame for packet in (*packets, None) for frame in decoder.decode(packet)]
    return np.asarray(frames[0].to_ndarray(format="rgb24"), dtype=np.uint8)
