"""From frames to tracks and crops of faces."""
