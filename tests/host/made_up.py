"""Weights of the host's modules that the original layouts do not have.

A scale is for comparing texts with pictures; nothing reads it. CLIP-L's projection makes a summary that neither
Stable Diffusion 1 nor SDXL is told: the host drops both when it saves a checkpoint and warns of neither. The projection
of SDXL's second encoder is told to the UNet, so it has to come from the file.
"""

from __future__ import annotations

CLIP_L = {"clip_l.logit_scale", "clip_l.transformer.text_projection.weight"}
MADE_UP = {"sd1": CLIP_L, "sd2": {"clip_h.logit_scale"}, "sdxl": {*CLIP_L, "clip_g.logit_scale"}}
