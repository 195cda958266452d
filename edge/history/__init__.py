"""What stays: the history of findings, and the reports made from it."""
