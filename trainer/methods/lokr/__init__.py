"""LoKr: the update of a weight as a Kronecker product (Yeh et al., 2023)."""
