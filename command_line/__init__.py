"""The command line: a file for each command. Nothing heavy is imported before one is chosen."""
