"""A base model: its files, its modules, its conditioning and its noise process."""
