"""Sampling from a model: class images, sample images during training, and predictions that rank identifiers."""
