"""Any image model that ComfyUI runs, trained where ComfyUI holds it: no file of ours, no port per family.

The host's own objects encode, predict and sample; a LoRA stands beside its layers in forward hooks. What is not of this
folder sees a `trainer.model.base.Model` and a `trainer.methods.protocol.Method`.
"""
