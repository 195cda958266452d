"""How good a bundle is on labelled clips or crops it never saw, in figures with intervals."""
