"""Offline, on a machine with torch: checkpoint to bundle, training, evaluation."""
