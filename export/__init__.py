"""Offline, on a machine with torch: checkpoint to bundle, training, evaluation."""

import edge as edge  # first: it keeps ONNX Runtime, which comes later, from reporting
