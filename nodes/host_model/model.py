"""A graph's MODEL, CLIP and VAE as a model that the trainer can train."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import comfy.model_management
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from torch.utils.hooks import RemovableHandle

from ...trainer.events import Planned, Tell
from ...trainer.model.base import Conditioning, Model, Posterior
from ...trainer.model.fingerprint import Sample
from ...trainer.options import TrainOptions
from ...trainer.options.choices import Precision
from . import key
from .branch import Branch
from .conditioning import PROMPT, encode
from .images import encode_pixels
from .in_place import changes_saved_tensors, copy_inputs_of_norms, on_copies
from .kinds import architecture_of, require_trainable
from .noise import HostNoise, noise_of
from .ordinary import OrdinaryTensors
from .prediction import predicted
from .quantised import require_gradients
from .targets import patch_of, repeated_blocks
from .training_mode import TrainingMode

if TYPE_CHECKING:
    from .plan import HostPlan


class HostModel(Model):
    """A MODEL, CLIP and VAE in the host's memory; use it within `borrowed`, which leaves them as they were.

    model, clip, vae: the host's objects. branch: the LoRA beside the denoiser's layers, once there is one. has_frames:
    whether its latents have an axis of frames. plan: what is on the device, once a step was counted.
    """

    noise_process: HostNoise

    def __init__(self, model: Any, clip: Any, vae: Any, fingerprint: str) -> None:
        """Raises ValueError for a model that cannot be trained."""
        require_trainable(model)
        self.model, self.clip, self.vae, self._fingerprint = model, clip, vae, fingerprint
        self.denoiser, self.text_encoders = model.model.diffusion_model, {}
        kind, patch = type(model.model).__name__, patch_of(self.denoiser)
        self.noise_process = noise_of(model.get_model_object("model_sampling"), kind, patch)
        self.branch: Branch | None = None
        self.prompts: list[dict[str, Any]] = []
        self._ordinary: OrdinaryTensors | None = None
        self._training_mode: TrainingMode | None = None
        self._blocks: list[torch.nn.Module] = []
        self._norms: list[RemovableHandle] = []
        self._in_place: bool | None = None
        self._gradients_checked = False
        self.plan: HostPlan | None = None
        self._planned_for: TrainOptions | None = None
        self._tell: Tell | None = None
        self._latents = model.get_model_object("latent_format")
        self.has_frames = getattr(self._latents, "latent_dimensions", 2) == 3

    @property
    def device(self) -> torch.device:
        """The device where the host computes, with its index."""
        return torch.empty(0, device=self.model.load_device).device

    @property
    def fingerprint(self) -> str:
        """As it was given."""
        return self._fingerprint

    @property
    def architecture(self) -> str:
        """The host's name of the architecture."""
        return architecture_of(self.model)

    def forward_dtype(self, precision: Precision) -> torch.dtype | None:
        """None: the host's layers cast by themselves."""
        return None

    def weight_sample(self) -> Sample:
        """A few values of a few of the denoiser's unpatched matrices."""
        return key.weight_sample(self.model)

    def encode_prompts(self, prompts: Sequence[str]) -> Conditioning:
        """The numbers of these prompts, which are encoded and kept."""
        self.release()
        first = len(self.prompts)
        self.prompts += encode(self.clip, prompts)
        return {PROMPT: torch.arange(first, len(self.prompts))}

    def encode_images(self, pixels: Tensor) -> Posterior:
        """The VAE's posterior for pixels [B, 3, H, W] in 0..1, in the denoiser's scale; [B, C, h, w].

        Raises ValueError for a VAE of another model's latents.
        """
        self.release()
        mean, std = encode_pixels(self.vae, pixels, self._scaled)
        return Posterior(mean.to(self.device), std.to(self.device))

    def _scaled(self, latents: Tensor) -> Tensor:
        """The VAE's latents [B, C, h, w] in the denoiser's scale."""
        if latents.shape[1] != self._latents.latent_channels:
            raise ValueError(
                f"The VAE's latents have {latents.shape[1]} channels and the model's {self._latents.latent_channels}: "
                "connect the VAE of the same model."
            )
        scaled = self.model.model.process_latent_in(latents.unsqueeze(2) if self.has_frames else latents)
        return torch.as_tensor(scaled.reshape(latents.shape))

    def predict(self, noisy: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        """The network's output for z_t [B, C, h, w] at noise levels [B], by the host's `apply_model`."""
        training = self.branch is not None and torch.is_grad_enabled()
        if training and self.plan is None and self._planned_for is not None:
            self._make_plan(self._planned_for, noisy, timesteps, conditioning)
        self._hold(noisy)
        if self.branch is not None and torch.is_grad_enabled() and self._in_place is None:
            # Once: the forward is cheap beside a training that would fail in its first backward pass.
            with torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):
                tried = predicted(self, noisy, timesteps, conditioning)
            self._in_place = changes_saved_tensors(tried, list(self.branch.parameters()))
            self._hold(noisy)
        return predicted(self, noisy, timesteps, conditioning)

    def plan_by(self, options: TrainOptions, tell: Tell) -> None:
        """Let a count of the first training step decide what is on the device, and tell so."""
        self._planned_for, self._tell = options, tell

    def _make_plan(self, options: TrainOptions, noisy: Tensor, timesteps: Tensor, conditioning: Conditioning) -> None:
        """Count a step, and choose by what is free."""
        from .plan import free_bytes, plan_step

        self.release()
        self._planned_for, tell = None, self._tell
        try:
            self.plan = plan_step(self, options, noisy, timesteps, conditioning, free_bytes(self.device))
            text = self.plan.text
        except (RuntimeError, NotImplementedError, TypeError, AttributeError) as error:
            # A host's module that does not run without values: the training itself may well.
            text = (
                f"Its memory could not be counted ({type(error).__name__}: {str(error)[:100]}): ComfyUI estimates it."
            )
        if tell is not None:
            tell(Planned(text))

    @property
    def recomputes(self) -> bool:
        """Whether activations are recomputed in the backward pass."""
        return bool(self._blocks)

    @property
    def pixels_per_position(self) -> int:
        """Pixels a side for a position of the latents."""
        return int(getattr(self._latents, "spacial_downscale_ratio", None) or self.vae.spacial_compression_encode())

    def enable_checkpointing(self) -> None:
        """Recompute the activations of the denoiser's repeated blocks in the backward pass."""
        # A recomputed tensor that is changed in place after it was saved is not noticed by autograd.
        self._in_place = True
        for block in repeated_blocks(self.denoiser) if not self._blocks else ():
            # On the instance, and gone again in `borrowed`.
            block.forward = partial(checkpoint, on_copies(block.forward), use_reentrant=False)
            self._blocks.append(block)

    @contextmanager
    def borrowed(self) -> Iterator[HostModel]:
        """A context in which the model may be trained; afterwards the host's objects are as they were."""
        try:
            with torch.inference_mode(False), torch.enable_grad():
                yield self
        finally:
            self.release()
            for block in self._blocks:
                del block.forward
            self._blocks = []

    def release(self) -> None:
        """Give the denoiser back to the host, without branch and ordinary tensors, until it predicts again."""
        if self.branch is not None:
            self.branch.detach()
        for handle in self._norms:
            handle.remove()
        self._norms = []
        if self._ordinary is not None:
            self._ordinary.restore()
            self._ordinary = None
        if self._training_mode is not None:
            self._training_mode.end()
            self._training_mode = None

    def load(self, noisy: Tensor | None = None) -> None:
        """Have the host load the denoiser with its graph's patches, and no others. noisy: latents for which it keeps
        the memory free that a forward needs, by its own estimate.
        """
        kept_free = 0 if noisy is None else self.model.memory_required(list(noisy.shape))
        if self.plan is not None:
            kept_free = self.plan.reserved
        with torch.inference_mode():
            comfy.model_management.load_models_gpu([self.model], memory_required=kept_free)

    def _hold(self, noisy: Tensor) -> None:
        """Have the denoiser loaded with its graph's patches for latents z_t, in ordinary tensors, with the branch
        attached.
        """
        if self._ordinary is None or not _is_loaded(self.model):
            self.release()
            self.load(noisy)
            self._ordinary = OrdinaryTensors(self.model.model)
            self._training_mode = TrainingMode(self.denoiser)
            if self.branch is not None and not self._gradients_checked:
                require_gradients(self.denoiser, noisy.device, self.architecture)
                self._gradients_checked = True
        if self.branch is not None:
            self.branch.attach()
        if self._in_place and not self._norms:
            self._norms = copy_inputs_of_norms(self.denoiser)


def _is_loaded(model: Any) -> bool:
    """Whether the host holds a MODEL on its device with this one's patches: a decode or `/free` may have moved it."""
    loaded = comfy.model_management.current_loaded_models
    there = any(one.model is not None and one.model.is_clone(model) for one in loaded)
    return there and model.model.current_weight_patches_uuid == model.patches_uuid
