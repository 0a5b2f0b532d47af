"""The fields of `TrainOptions`, a file for each group of settings."""
