"""What is known of the published checkpoints beyond their weights."""

from __future__ import annotations

from edge.scan.crops import CropSpec

# They were trained on dlib's boxes without a margin, at 112 pixels. The square that stands in for
# dlib's HOG box (upsampled once), measured by
#     python benchmarks/dlib_box.py CLIPS
# on 351 frames of 93 clips of 34 sources: IoU with dlib's box, each source judged by a fit that
# did not see it, median 0.844 and mean 0.834 over frames, worst source 0.72. dlib's boxes come in
# steps of a fifth in size, so nearer than that no mapping gets.
DLIB_BOX = CropSpec(side=112, scale=0.962, shift_x=0.0, shift_y=-0.003)
