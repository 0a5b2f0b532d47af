"""LiDB: a rank-1 LoRA within random subspaces of each weight's sides (HyperDreamBooth, arXiv 2307.06949)."""
