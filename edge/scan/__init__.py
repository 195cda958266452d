"""From a clip to a finding; see `scanner`."""
