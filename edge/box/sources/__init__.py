"""Where clips come from: camera, stick, inbox."""
