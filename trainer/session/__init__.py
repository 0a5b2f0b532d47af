"""One personalization from start to end."""
