"""The code that Stable Diffusion 1, 2 and XL share."""
