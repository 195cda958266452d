"""From a file to frames: the decoder process, and this side of it."""
