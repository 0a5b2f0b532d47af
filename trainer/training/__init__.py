"""The optimization: encoded images and prompts, batches, loss, optimizer step, training loop, snapshots."""
