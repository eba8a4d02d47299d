"""Policy modules to use or to copy."""

import itertools
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pgrad.errors import PolicyError, nearest
from pgrad.kernels.mlp import INPUT_LIMIT
from pgrad.policies.distributions import STATE_DEPENDENT, STATE_INDEPENDENT, num_outputs
from pgrad.spaces import Box, Discrete, MultiDiscrete, Space

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh}


class PolicyNetwork(nn.Module):
    """The teaching notebook's policy: one hidden layer, and action preferences that a softmax makes probabilities of.

    The example to copy for a module of your own: training calls `forward` alone, with observations [N, O].
    """

    def __init__(self, obs_size: int, num_actions: int, hidden: int = 128) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(obs_size, hidden), nn.ReLU(), nn.Linear(hidden, num_actions))

    def forward(self, state: Tensor) -> Tensor:
        """Action preferences (logits) of one state [O] or a batch [N, O]; [A] or [N, A]."""
        return self.layers(state)  # type: ignore[no-any-return]

    def action_probabilities(self, state: Any) -> Tensor:
        """π(· | s) of one state or a batch, in NumPy or PyTorch."""
        preferences = self(torch.as_tensor(state, dtype=torch.float32))
        return torch.softmax(preferences, dim=-1)

    def sample_action(self, state: Any) -> tuple[int, Tensor]:
        """An action drawn from π(· | s) for one state [O], and log π(action | s), through which a gradient flows."""
        distribution = torch.distributions.Categorical(logits=self(torch.as_tensor(state, dtype=torch.float32)))
        action = distribution.sample()  # type: ignore[no-untyped-call]
        return int(action), distribution.log_prob(action)  # type: ignore[no-untyped-call]


class MLPModule(nn.Module):
    """A multilayer perceptron that returns what compiled policies compute: logits, or (mean, log_std), or V [N, 1].

    `actions` are the environment's, or None for a value network. With `std` "state-independent", log σ is a parameter
    [D]; else the network gives it. Inputs are normalised by the buffers shift and scale, where there are such.
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
        free = isinstance(actions, Box) and std == STATE_INDEPENDENT
        self.log_std = nn.Parameter(torch.zeros(sizes[-1], dtype=torch.float32)) if free else None
        self.register_buffer("shift", torch.as_tensor(np.array(shift, np.float32)))
        self.register_buffer("scale", torch.as_tensor(np.array(scale, np.float32)))

    def forward(self, obs: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """For a batch [N, O]: logits [N, Σ counts], or mean [N, D] and log_std [D] or [N, D], or V [N, 1]."""
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
    """A convolutional policy for images, with V(s) from the same features: returns (logits, value [N]).

    obs_shape    (C, H, W) or (H, W, C): the smaller end is taken for the channels, or say so by `channels_last`
    actions      how many, or the environment's action space (pgrad's or Gymnasium's); for real ones it returns
                 (mean, log_std, value)
    scale        multiplies the pixels: 1/255 for uint8 images, 1 for those between 0 and 1

    Three convolutions, each followed by ReLU, as deep as the image allows, then a layer of `hidden` units. With an
    input of (4, 84, 84) these are the sizes of Mnih et al. (2015).
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
        """What the convolutions make of images [N, *obs_shape], laid flat."""
        images = obs.float() * self.scale
        return self.convolutions(images.movedim(-1, 1) if self.channels_last else images)  # type: ignore[no-any-return]

    def forward(self, obs: Tensor) -> tuple[Tensor, ...]:
        """(logits, value) or (mean, log_std, value) for images [N, *obs_shape]."""
        hidden = self.hidden(self.features(obs))
        value = self.value(hidden).squeeze(-1)
        if self.log_std is None:
            return self.outputs(hidden), value
        return self.outputs(hidden), self.log_std, value


def action_space(actions: Any) -> Space:
    """pgrad's space for a number of choices, for a Gymnasium space, or for one of pgrad's; raises PgradError."""
    if isinstance(actions, Integral):
        return Discrete(int(actions))
    if isinstance(actions, Box | Discrete | MultiDiscrete):
        return actions
    from pgrad.vector.spaces import actions_of

    return actions_of(actions, "ConvPolicy").space


def convolutions(size: int) -> list[tuple[int, int, int]]:
    """Filters, kernel size and stride of each convolution for images of so many pixels along the shorter side."""
    if size >= 36:  # the least that leaves one unit behind strides of 4, 2 and 1
        return [(32, 8, 4), (64, 4, 2), (64, 3, 1)]
    if size >= 3:
        return [(32, 3, 1), (64, 3, 2)] if size >= 5 else [(32, 3, 1)]
    return [(32, 1, 1)]
