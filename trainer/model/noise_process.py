"""The forward noising process: z_t, the denoiser's training target for it, and the distribution of timesteps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from ..options.choices import Density
from ..options.setting import OptionError

if TYPE_CHECKING:
    # A host that trains in another process may have another torch, or none.
    import torch
    from torch import Tensor

Prediction = Literal["epsilon", "v_prediction"]
"""What the denoiser predicts: ε, or v = α_t·ε − σ_t·x."""


class NoiseProcess(Protocol):
    """The noising process of a model family: a diffusion in this package's families, a flow in others."""

    def draw_timesteps(self, uniform: Tensor, size: torch.Size | None = None) -> Tensor:
        """Timesteps [B] sampled for training, from u ~ U[0, 1) [B]. size: of the latents [C, h, w], on which a density
        may depend.
        """

    def add_noise(self, x: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """The noisy latents z_t, in the shape of x [B, C, h, w]."""

    def target(self, x: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """The denoiser's training target for z_t, in the shape of x."""

    def signal_to_noise(self, timesteps: Tensor) -> Tensor:
        """The signal-to-noise ratio α_t²/σ_t² [B]."""

    def image_error(self, timesteps: Tensor) -> Tensor:
        """The squared error ‖x̂ − x‖² of a prediction whose own squared error is 1 [B]."""

    def to(self, device: torch.device) -> NoiseProcess:
        """The same process with its tables on `device`."""


@runtime_checkable
class Flow(NoiseProcess, Protocol):
    """A noising process whose timesteps can be drawn by several densities."""

    def with_density(self, density: Density) -> NoiseProcess:
        """The same process with its timesteps drawn by another density."""


def with_density(process: NoiseProcess, density: Density) -> NoiseProcess:
    """The process with its timesteps drawn by a density; "auto": as they are. Raises OptionError for another density of
    a process that has only its own.
    """
    if density == "auto":
        return process
    if not isinstance(process, Flow):
        raise OptionError(
            f"timestep_density is {density!r}, and this model is no flow: its timesteps are those of its schedule; "
            "leave it at 'auto'."
        )
    return process.with_density(density)


@dataclass(frozen=True)
class Diffusion:
    """A variance-preserving diffusion in discrete time. alphas_cumprod: α_t² [T], float32."""

    alphas_cumprod: Tensor
    prediction: Prediction = "epsilon"

    def to(self, device: torch.device) -> Diffusion:
        """The same process with its table on `device`."""
        return Diffusion(self.alphas_cumprod.to(device), self.prediction)

    def draw_timesteps(self, uniform: Tensor, size: torch.Size | None = None) -> Tensor:
        """Timesteps t int64 [B], uniform over 0..T−1, from u ~ U[0, 1) [B]."""
        return (uniform * len(self.alphas_cumprod)).long()

    def add_noise(self, x: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """The noisy latents z_t = α_t·x + σ_t·ε, in the shape of x [B, C, h, w]."""
        alpha, sigma = self._alpha_sigma(timesteps)
        return alpha * x + sigma * noise

    def target(self, x: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """The training target: ε, or v = α_t·ε − σ_t·x for v-prediction."""
        if self.prediction == "epsilon":
            return noise
        alpha, sigma = self._alpha_sigma(timesteps)
        return alpha * noise - sigma * x

    def signal_to_noise(self, timesteps: Tensor) -> Tensor:
        """The signal-to-noise ratio α_t²/σ_t² [B]."""
        alpha_squared = self.alphas_cumprod[timesteps]
        return alpha_squared / (1 - alpha_squared)

    def image_error(self, timesteps: Tensor) -> Tensor:
        """The squared error of x̂ for a unit squared error of the prediction [B]: σ_t²/α_t² for ε, σ_t² for v, because
        x̂ = (z − σ·ε)/α = α·z − σ·v.
        """
        if self.prediction == "epsilon":
            return 1 / self.signal_to_noise(timesteps)
        return 1 - self.alphas_cumprod[timesteps]

    def _alpha_sigma(self, timesteps: Tensor) -> tuple[Tensor, Tensor]:
        """α_t and σ_t, each [B, 1, 1, 1]."""
        alpha_squared = self.alphas_cumprod[timesteps].view(-1, 1, 1, 1)
        return alpha_squared.sqrt(), (1 - alpha_squared).sqrt()
