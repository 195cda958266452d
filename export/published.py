"""What is known of the published checkpoints beyond their weights."""

from __future__ import annotations

from edge.scan.crops import CropSpec

# They were trained on dlib's boxes without a margin, at 112 pixels. The square that stands in for
# dlib's HOG box (upsampled once), measured by
#     python benchmarks/dlib_box.py CLIPS
# on 349 frames of 93 clips of 34 sources: IoU with dlib's box, each source judged by a fit that
# did not see it, median 0.844 and mean 0.831 over frames, worst source 0.69. dlib's boxes come in
# steps of a fifth in size, so nearer than that no mapping gets.
DLIB_BOX = CropSpec(side=112, scale=0.965, shift_x=0.003, shift_y=0.003)
