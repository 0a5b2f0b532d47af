"""A check of this machine: whether and how fast it trains, on models with random weights."""
