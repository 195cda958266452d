"""From frames to tracked faces and crops."""
