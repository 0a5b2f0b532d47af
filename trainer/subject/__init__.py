"""What the user gives: photos, captions, the class noun and the identifier."""
