"""Networks of one's own: any torch module as an encoder, by the name ``module:Class``.

A file of weights holds such a name, but never makes the program import it: files come from
strangers. Only classes that the user has registered or named are built.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import import_module
from operator import attrgetter
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grafprint.errors import ConfigError
from grafprint.models.encoders.base import Encoder
from grafprint.models.features import FeatureConfig

# The index of a large library divides a fingerprint into 32 parts (row_index.choose_factory).
PARTS = 32

_registered: dict[str, type[nn.Module]] = {}


class OwnEncoder(Encoder):
    """A network of one's own behind the interface of all encoders.

    It gets the log-mels of windows, ``[n, n_mels, window_frames]`` (float32, 0 to 1, relative to
    the loudest bin of each window; silence is all zeros), and returns ``[n, dim]``, which is
    scaled to unit length here. ``dim`` is a multiple of 32. A module may declare ``dim``, which is
    then checked, and ``feature_config``, a :class:`FeatureConfig`. Its methods
    ``auxiliary_loss`` and ``bucket_centres`` are used if it has them.
    """

    # The network's code may rely on ordinary strides, as ``view`` does.
    memory_format = torch.preserve_format

    def __init__(
        self,
        network: nn.Module,
        features: FeatureConfig | None = None,
        name: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """Wrap ``network``, and run it once on two windows, in eval mode.

        ``name`` and ``options`` (of its constructor) are what :func:`build` needs to make it again.
        Without ``name``, its class is registered under its own. Raises ConfigError if the network
        does not do what is expected of it.
        """
        super().__init__()
        self.network = network
        self.name = name or register(type(network))
        self.options = dict(options or {})
        try:
            json.dumps(self.options)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"options of {self.name} that JSON cannot hold: {error}") from error
        self.feature_config = features or features_of(network, self.name)
        self.dim = self._try()

    def forward(self, x: Tensor) -> Tensor:
        """Fingerprints ``[n, dim]``, L2-normalised, of windows ``x [n, 3, F, T]``."""
        z: Tensor = self.network(x[:, 2].contiguous())
        return F.normalize(z.float(), dim=-1)

    def auxiliary_loss(self, a: Tensor, b: Tensor) -> Tensor | None:
        """That of the network, if it has one."""
        loss = getattr(self.network, "auxiliary_loss", None)
        return loss(a, b) if callable(loss) else None

    def bucket_centres(self) -> Tensor | None:
        """Those of the network, if it has any."""
        centres = getattr(self.network, "bucket_centres", None)
        return centres() if callable(centres) else None

    @torch.no_grad()
    def _try(self) -> int:
        """Run the network on a noisy and a silent window; the dimensions of its fingerprints."""
        f, network = self.feature_config, self.network
        windows = torch.rand(
            2, f.n_mels, f.window_frames, generator=torch.Generator().manual_seed(0)
        )
        windows[1] = 0
        given = f"log-mels [2, {f.n_mels}, {f.window_frames}]"
        training = {module: module.training for module in network.modules()}
        device = next((p.device for p in network.parameters()), torch.device("cpu"))
        try:
            z = network.eval()(windows.to(device))
        except Exception as error:  # it is any code
            reason = f"{type(error).__name__}: {error}"
            raise ConfigError(f"the network {self.name} fails on {given}: {reason}") from error
        finally:
            for module, mode in training.items():
                module.training = mode
        if not isinstance(z, Tensor):
            raise ConfigError(
                f"the network {self.name} returns a {type(z).__name__} for {given}: "
                "it must return a tensor of fingerprints [2, dim]"
            )
        if z.ndim != 2 or len(z) != 2 or not z.shape[1]:
            raise ConfigError(
                f"the network {self.name} returns {list(z.shape)} for {given}: "
                "it must return a fingerprint of each window, [2, dim]"
            )
        dim = z.shape[1]
        declared = getattr(network, "dim", None)
        if isinstance(declared, int) and declared != dim:
            raise ConfigError(f"the network {self.name} declares dim {declared}, but returns {dim}")
        if dim % PARTS:
            raise ConfigError(
                f"the network {self.name} returns fingerprints of {dim} numbers: "
                f"make it a multiple of {PARTS}, as the index of large libraries needs"
            )
        for what, vector in zip(("noise", "silence (all zeros)"), z, strict=True):
            if not torch.isfinite(vector).all():
                raise ConfigError(
                    f"the network {self.name} returns NaN or infinity for {what}: a division "
                    "may need an epsilon, or its weights are broken"
                )
        return dim


def register(network: type[nn.Module], name: str | None = None) -> str:
    """Allow a class to be built by name, also by files of weights; returns the name.

    That is ``module:Class`` unless another ``name`` is given. A class of the same name is replaced.
    Raises ConfigError if it is no torch module.
    """
    if not (isinstance(network, type) and issubclass(network, nn.Module)):
        raise ConfigError(f"{network!r} is not a class derived from torch.nn.Module")
    name = name or f"{network.__module__}:{network.__qualname__}"
    _registered[name] = network
    return name


def registered(name: str) -> type[nn.Module] | None:
    """The class registered under a name, or None. Nothing is imported."""
    return _registered.get(name)


def import_network(name: str) -> type[nn.Module]:
    """Import the class ``module:Class`` and register it under this name.

    This runs the module's code: call it for names that the user has given, never for those in a
    file. Raises ConfigError if there is no such module or class, or the import fails.
    """
    module_name, _, class_name = name.partition(":")
    if not module_name or not class_name:
        raise ConfigError(f"a network of your own is named module:Class, not {name!r}")
    try:
        module = import_module(module_name)
    except Exception as error:  # it is any code
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing and f"{module_name}.".startswith(f"{missing}."):
            raise ConfigError(
                f"there is no module {missing!r}, of the network {name}: run the command in the "
                "folder of its file, or install its package"
            ) from error
        reason = f"{type(error).__name__}: {error}"
        raise ConfigError(f"the module {module_name!r} cannot be imported: {reason}") from error
    try:
        network = attrgetter(class_name)(module)
    except AttributeError as error:
        classes = sorted(
            key
            for key, value in vars(module).items()
            if isinstance(value, type) and issubclass(value, nn.Module)
        )
        has = f"it has {', '.join(classes)}" if classes else "it has no torch modules"
        raise ConfigError(
            f"the module {module_name!r} ({module.__file__}) has no class {class_name!r}: {has}"
        ) from error
    register(network, name)
    return network


def features_of(network: nn.Module | type[nn.Module], name: str) -> FeatureConfig:
    """The features that a network declares as ``feature_config``, or the default ones."""
    features = getattr(network, "feature_config", None)
    if features is None:
        return FeatureConfig()
    if not isinstance(features, FeatureConfig):
        raise ConfigError(f"feature_config of {name} is not a FeatureConfig, but {features!r}")
    return features


def build(
    network: type[nn.Module] | nn.Module,
    name: str,
    options: Mapping[str, Any],
    features: FeatureConfig | None = None,
) -> OwnEncoder:
    """Build a class with the constructor's ``options``, or wrap a module that is built already.

    Raises ConfigError as :class:`OwnEncoder` does, or if the constructor fails.
    """
    if isinstance(network, nn.Module):
        return OwnEncoder(network, features, name, options)
    try:
        made = network(**options)
    except Exception as error:  # it is any code
        reason = f"{type(error).__name__}: {error}"
        raise ConfigError(
            f"{name} cannot be built with the options {dict(options)}: {reason}"
        ) from error
    return OwnEncoder(made, features, name, options)
