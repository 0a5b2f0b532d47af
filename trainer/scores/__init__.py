"""Scores of pictures: likeness, prompt following, class and variety, as the paper measures them (section 4.1)."""
