"""What can be trained: a method is what is trained and how it is saved."""
