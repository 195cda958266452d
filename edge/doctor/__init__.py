"""Is every part of the box well, and what to do if not: `rounds.examine` goes through them all.

Parts are tried the way the box uses them. What a machine has not got is absent, and no fault
unless its settings ask for it.
"""

PARTS = (
    "board",
    "settings",
    "service",
    "model",
    "second",
    "detector",
    "lamps",
    "display",
    "button",
    "camera",
    "sticks",
    "history",
    "disk",
    "temperature",
    "power",
    "clock",
)
"""What is looked at, in this order. Here, so that naming it costs no import."""
