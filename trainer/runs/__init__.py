"""A run on disk: its request, its key, its record and its results."""
