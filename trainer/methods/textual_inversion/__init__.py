"""Textual Inversion: only the vectors of a new word are trained (Gal et al., ICLR 2023)."""
