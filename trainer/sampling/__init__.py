"""Pictures from a model: class images, samples, and what they tell of a prompt."""
