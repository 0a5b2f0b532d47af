"""The user's inputs: instance photos with captions and masks, the class noun and the identifier."""
