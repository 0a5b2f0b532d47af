"""Low-rank adaptation (Hu et al. 2021)."""
