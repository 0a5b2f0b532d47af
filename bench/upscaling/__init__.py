"""Personalized super-resolution: the subject's details, enlarged by the upscaler before and after it is tuned."""
