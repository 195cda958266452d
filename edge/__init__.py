"""Truelight's edge: what runs on the box. A clip goes in, a finding comes out; no torch, ever."""

__version__ = "0.1.0"
