"""The optimization: batches, loss, step, loop."""
