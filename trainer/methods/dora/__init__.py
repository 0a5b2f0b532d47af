"""DoRA: a LoRA of the weights' directions, with a magnitude for each input (Liu et al., 2024)."""
