"""Names of models' files and of the host's configurations, by whether the model is for few steps."""

DISTILLED = {
    "z_image_turbo_bf16.safetensors",
    "FluxSchnell",
    "flux-2-klein-4b.safetensors",
    "sdxl_lightning_4step_lora.safetensors",
    "Qwen-Image-Lightning-8steps-V1.0.safetensors",
    "krea2_turbo.safetensors",
    "hyper-sd15-8steps.safetensors",
}
PLAIN = {
    "z_image_bf16.safetensors",
    "flux1-dev.safetensors",
    "flux-2-klein-base-4b.safetensors",
    "sd_xl_base_1.0.safetensors",
    "krea2_raw.safetensors",
    "anima-base-v1.0.safetensors",
    "dreambooth_1400_steps.safetensors",
    "Flux",
}
