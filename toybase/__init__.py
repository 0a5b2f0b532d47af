"""The embedded base: a tiny text-to-image model in the SD 1.5 layout and the world it was trained on."""
