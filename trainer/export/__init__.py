"""What was trained, as files that other tools read."""
