"""Low-rank adaptation (LoRA; Hu et al., 2021): training, reading and the weights in memory."""
