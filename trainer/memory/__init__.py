"""What a training needs of memory, and what makes it need less."""
