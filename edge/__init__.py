"""Truelight's edge: what runs on the box. A clip goes in, a finding comes out; no torch, ever."""

import os

__version__ = "0.1.0"

# ONNX Runtime would keep an identifier of this machine in the user's cache, and report to its maker
# how it is used. It asks for this when it is loaded.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
