"""File input and output: files are written completely or not at all, and the files that are read are not trusted."""
