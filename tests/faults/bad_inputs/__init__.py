"""What is wrong, by kind: each must be refused by an error of the product's own, which names it."""
