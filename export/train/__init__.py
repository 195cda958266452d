"""From folders of crops with labels to a checkpoint."""
