"""The memory that a training needs, and the options that reduce it."""
