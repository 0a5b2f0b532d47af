"""Speed and memory of the trainer beside diffusers' scripts, in one run on one base."""
