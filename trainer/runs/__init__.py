"""Runs on disk: request, key, record, samples and result files."""
