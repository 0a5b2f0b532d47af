"""Pivotal tuning: the vectors of a new word beside any other method (Roich et al., 2021, for diffusion models)."""
