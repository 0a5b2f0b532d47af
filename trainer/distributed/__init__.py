"""Distributed training: several processes (ranks) train one model."""
