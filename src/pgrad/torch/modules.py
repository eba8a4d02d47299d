"""Policy modules to use or to copy."""

import itertools
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pgrad.errors import PolicyError, nearest
from pgrad.kernels.mlp import INPUT_LIMIT
from pgrad.policies.distributions import GSDE, STATE_DEPENDENT, STATE_INDEPENDENT, num_outputs
from pgrad.spaces import Box, Discrete, MultiDiscrete, Space

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh}


class PolicyNetwork(nn.Module):
    """A softmax policy with one hidden ReLU layer, π(a | s) = softmax(W₂ relu(W₁ s + b₁) + b₂)_a.

    Its names are the teaching notebook's.

    state_dim   O, numbers in an observation
    n_actions   A, discrete actions
    hidden_dim  H, hidden units

    Copy it for a module of your own: training calls only `forward`, with observations [N, O], and takes logits [N, A].
    """

    def __init__(self, state_dim: int, n_actions: int, hidden_dim: int = 128) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(state_dim, hidden_dim), nn.ReLU(), nn.Linear(hidden_dim, n_actions))

    def forward(self, state: Tensor) -> Tensor:
        """Return the logits (action preferences), [A] for one state [O] or [N, A] for a batch [N, O]."""
        return self.layers(state)  # type: ignore[no-any-return]

    def get_action_probs(self, state: Any) -> Tensor:
        """Return π(· | s), [A] or [N, A], for one state [O] or a batch [N, O], in NumPy or PyTorch."""
        return torch.softmax(self(torch.as_tensor(state, dtype=torch.float32)), dim=-1)

    def sample_action(self, state: Any) -> tuple[int, Tensor]:
        """Sample an action for one state [O]; return it and log π(action | s), which carries a gradient."""
        distribution = torch.distributions.Categorical(logits=self(torch.as_tensor(state, dtype=torch.float32)))
        action = distribution.sample()  # type: ignore[no-untyped-call]
        return int(action), distribution.log_prob(action)  # type: ignore[no-untyped-call]


class MLPModule(nn.Module):
    """A multilayer perceptron that computes what compiled networks do: logits, (mean, log_std), or V.

    sizes         (inputs, hidden …, outputs)
    activation    "tanh" or "relu", between the layers
    actions       the environment's action space, or None for a value network
    std           of continuous actions: "state-independent", log σ is a parameter [D]; "state-dependent", an output;
                  "gsde", a parameter [O + 1, D]
    shift, scale  [O] each, buffers: inputs become (obs - shift) · scale, clamped; empty for none

    Raises PolicyError for an unknown activation or a wrong number of outputs.
    """

    def __init__(
        self,
        sizes: tuple[int, ...],
        activation: str = "tanh",
        actions: Space | None = None,
        std: str = STATE_INDEPENDENT,
        shift: Any = (),
        scale: Any = (),
    ) -> None:
        super().__init__()
        self.shift: Tensor
        self.scale: Tensor
        if activation not in ACTIVATIONS:
            raise PolicyError(f"unknown activation {activation!r}: {nearest(activation, ACTIVATIONS)}")
        wanted = 1 if actions is None else num_outputs(actions, std)
        if sizes[-1] != wanted:
            raise PolicyError(f"{actions or 'a value'} needs {wanted} outputs, not {sizes[-1]} (sizes {sizes})")
        self.sizes, self.activation, self.actions, self.std = tuple(sizes), activation, actions, std
        layers: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise(sizes):
            layers += [nn.Linear(inputs, outputs, dtype=torch.float32), ACTIVATIONS[activation]()]
        self.layers = nn.Sequential(*layers[:-1])
        free = isinstance(actions, Box) and std != STATE_DEPENDENT
        shape = (sizes[0] + 1, sizes[-1]) if std == GSDE else (sizes[-1],)
        self.log_std = nn.Parameter(torch.zeros(shape, dtype=torch.float32)) if free else None
        self.register_buffer("shift", torch.as_tensor(np.array(shift, np.float32)))
        self.register_buffer("scale", torch.as_tensor(np.array(scale, np.float32)))

    def forward(self, obs: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Return logits [N, Σ counts], or mean [N, D] and log_std, see `std`, or V [N, 1], for a batch [N, O]."""
        if self.shift.numel():
            obs = ((obs - self.shift) * self.scale).clamp(-INPUT_LIMIT, INPUT_LIMIT)
        outputs = self.layers(obs)
        if not isinstance(self.actions, Box):
            return outputs  # type: ignore[no-any-return]
        if self.std == STATE_DEPENDENT:
            mean, log_std = outputs.chunk(2, dim=-1)
            return mean, log_std
        assert self.log_std is not None
        return outputs, self.log_std


class ConvPolicy(nn.Module):
    """A convolutional policy for images, with V(s) from the same features.

    obs_shape      (C, H, W) or (H, W, C): the smaller end is the channels, unless `channels_last` decides
    actions        number of discrete actions, or the action space (pgrad's or Gymnasium's)
    hidden         units of the layer after the convolutions
    scale          multiplies the pixels: 1/255 for uint8 images, 1 for pixels in [0, 1]
    channels_last  true for (H, W, C), false for (C, H, W), None to go by the smaller end

    `forward` returns (logits [N, Σ counts], value [N]), or (mean [N, D], log_std [D], value [N]) for continuous
    actions. Up to three convolutions with ReLU, as many as the image has room for, and a hidden ReLU layer: with
    (4, 84, 84) the architecture of Mnih et al. (2015). Weights are orthogonal, with gain √2, and 0.01 for the policy's
    outputs, so that it starts near uniform. Raises PolicyError unless obs_shape has three axes, EnvError for action
    spaces that no policy has.
    """

    def __init__(
        self,
        obs_shape: tuple[int, ...],
        actions: Any,
        hidden: int = 512,
        scale: float = 1 / 255,
        channels_last: bool | None = None,
    ) -> None:
        super().__init__()
        if len(obs_shape) != 3:
            raise PolicyError(f"an image has three axes, (C, H, W) or (H, W, C), not {tuple(obs_shape)}")
        self.actions = action_space(actions)
        self.channels_last = obs_shape[-1] < obs_shape[0] if channels_last is None else channels_last
        self.scale = scale
        channels, *size = (obs_shape[2], *obs_shape[:2]) if self.channels_last else obs_shape
        layers: list[nn.Module] = []
        for filters, kernel, stride in convolutions(min(size)):
            layers += [nn.Conv2d(channels, filters, kernel, stride), nn.ReLU()]
            channels = filters
        self.convolutions = nn.Sequential(*layers, nn.Flatten())
        with torch.no_grad():
            features = self.features(torch.zeros(1, *obs_shape)).shape[1]
        self.hidden = nn.Sequential(nn.Linear(features, hidden), nn.ReLU())
        self.outputs = nn.Linear(hidden, num_outputs(self.actions, STATE_INDEPENDENT))
        self.value = nn.Linear(hidden, 1)
        self.log_std = nn.Parameter(torch.zeros(self.actions.flat_size)) if isinstance(self.actions, Box) else None
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                gain = 0.01 if layer is self.outputs else 1.0 if layer is self.value else 2**0.5
                nn.init.orthogonal_(layer.weight, gain)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def features(self, obs: Tensor) -> Tensor:
        """Return the flattened features of images [N, *obs_shape], [N, F]."""
        images = obs.float() * self.scale
        return self.convolutions(images.movedim(-1, 1) if self.channels_last else images)  # type: ignore[no-any-return]

    def forward(self, obs: Tensor) -> tuple[Tensor, ...]:
        """Return (logits, value) or (mean, log_std, value) for images [N, *obs_shape]."""
        hidden = self.hidden(self.features(obs))
        value = self.value(hidden).squeeze(-1)
        if self.log_std is None:
            return self.outputs(hidden), value
        return self.outputs(hidden), self.log_std, value


def action_space(actions: Any) -> Space:
    """Return pgrad's space for a number of actions or for a Gymnasium space; raises EnvError."""
    if isinstance(actions, Integral):
        return Discrete(int(actions))
    if isinstance(actions, Box | Discrete | MultiDiscrete):
        return actions
    from pgrad.vector.spaces import actions_of

    return actions_of(actions, "ConvPolicy").space


def convolutions(size: int) -> list[tuple[int, int, int]]:
    """Return filters, kernel size and stride of each convolution for images whose shorter side has `size` pixels."""
    if size >= 36:  # the least that leaves one unit behind strides of 4, 2 and 1
        return [(32, 8, 4), (64, 4, 2), (64, 3, 1)]
    if size >= 3:
        return [(32, 3, 1), (64, 3, 2)] if size >= 5 else [(32, 3, 1)]
    return [(32, 1, 1)]
