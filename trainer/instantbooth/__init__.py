"""InstantBooth (Shi et al., 2023): a subject's word and features are predicted from its photos, without training."""
