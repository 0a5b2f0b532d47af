"""Likeness and prompt fidelity of what a training makes, ours beside others', on held-out subjects."""
