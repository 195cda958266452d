"""From crops to logits: bundles, inference, second opinion, saliency."""
