"""Truelight's edge: everything that runs on the box. It never imports torch."""

import os

__version__ = "0.1.0"

# ONNX Runtime would store an identifier of this machine in the user's cache and report usage to its
# maker. It reads this variable when it is loaded.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
