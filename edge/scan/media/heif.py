"""Lets Pillow read HEIF pictures. Imported for these alone: it takes as long as all of Pillow."""

import pillow_heif

pillow_heif.register_heif_opener(thumbnails=False)
