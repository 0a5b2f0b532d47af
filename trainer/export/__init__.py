"""Export of trained weights to the file formats of other programs, and conversion between these."""
