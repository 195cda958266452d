"""From clips and photographs to labelled crops and training pictures."""
