"""Likeness and prompt following of what a training makes, ours beside others', on held-out subjects."""
