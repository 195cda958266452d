"""CLIP as a feature extractor: its graph, its tuning, linear heads on its features."""
