"""Save and load networks and training states: safetensors with a JSON header, never pickle."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from grafprint.errors import CheckpointError, ConfigError
from grafprint.files import replace, writing
from grafprint.models.encoders import Encoder, build, describe, is_own, own
from grafprint.models.features import FeatureConfig

FORMAT = 1


def write(path: Path, tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
    """Write tensors and a JSON header to ``path`` atomically: the old file or the new one remains.

    Raises WriteError if that fails.
    """
    plain = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    seen: set[int] = set()
    for name, value in plain.items():
        # Weights that two layers share are stored for each: safetensors refuses shared memory.
        place = value.untyped_storage().data_ptr()
        plain[name] = value.clone() if place in seen else value
        seen.add(place)

    def save(partial: Path) -> None:
        try:
            save_file(plain, partial, metadata={"grafprint": json.dumps(header)})
        except SafetensorError as error:  # it has the system's reason as text only
            number = re.search(r"os error (\d+)", str(error))
            raise OSError(int(number[1]) if number else 0, str(error)) from error
        partial.chmod(0o644)  # safetensors makes files that only their owner can read

    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    replace(path, save)


def read(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what :func:`write` wrote. Raises CheckpointError, naming the file and the reason."""
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such file")
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: not a readable safetensors file ({error})") from error
    if "grafprint" not in metadata:
        raise CheckpointError(f"{path}: these weights were not written by GraFPrint")
    try:
        header = json.loads(metadata["grafprint"])
    except ValueError as error:
        raise CheckpointError(f"{path}: its header is damaged ({error})") from error
    if not isinstance(header, dict) or header.get("format") is None:
        raise CheckpointError(f"{path}: its header is damaged")
    if header["format"] != FORMAT:
        raise CheckpointError(
            f"{path}: format {header['format']}, but this version reads format {FORMAT}"
        )
    return tensors, header


def save_encoder(
    path: Path, encoder: Encoder, features: FeatureConfig, facts: dict[str, Any] | None = None
) -> None:
    """Write a network for inference: fp16 weights, configuration and facts (data, steps, seed)."""
    header = {
        "format": FORMAT,
        "kind": "encoder",
        "encoder": describe(encoder),
        "features": asdict(features),
        "facts": facts or {},
        "identity": identity(encoder, features),
    }
    write(path, halved(encoder.state_dict()), header)


def halved(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights as they are written: floating-point ones in half precision."""
    return {k: v.half() if v.is_floating_point() else v for k, v in state.items()}


def load_encoder(
    path: str | Path, network: type[nn.Module] | nn.Module | None = None
) -> tuple[Encoder, FeatureConfig, dict[str, Any]]:
    """Read a network: ``(encoder in eval mode and fp32, features, facts)``.

    ``network`` is the class of a network of one's own, or one that is built already and gets the
    weights. It need not be given if the class is registered under the name in the file. The file
    alone never makes code be imported.

    Raises CheckpointError if the file is not an encoder or is damaged, if its weights do not fit
    its configuration, or if its class was not named.
    """
    tensors, header = read(path)
    if header.get("kind") != "encoder":
        raise CheckpointError(f"{path}: holds a {header.get('kind')}, not an encoder")
    try:
        # Checked before the network is built: a damaged width could fill the memory.
        written = header.get("identity")
        if written and written != digest(header["encoder"], header["features"], tensors):
            raise CheckpointError(f"{path}: the file is damaged: get it again")
        features, facts = FeatureConfig(**header["features"]), dict(header["facts"])
        encoder = _rebuild(path, header["encoder"], features, network)
        encoder.load_state_dict(tensors)
    except CheckpointError:
        raise
    except ConfigError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError, RuntimeError, ArithmeticError) as error:
        raise CheckpointError(f"{path}: the weights do not fit: {error}") from error
    return encoder.eval(), features, facts


def _rebuild(
    path: str | Path,
    described: dict[str, Any],
    features: FeatureConfig,
    network: type[nn.Module] | nn.Module | None,
) -> Encoder:
    name, options = described["name"], described["options"]
    if not is_own(name):
        if network is not None:
            raise CheckpointError(
                f"{path} holds the encoder {name}, which comes with the program: leave out "
                "--encoder (in Python: network)"
            )
        return build(name, options)
    if network is None:
        network = own.registered(name)
    if network is None:
        raise CheckpointError(
            f"{path}: a network of the class {name}, which does not come with the program and is "
            f"imported only if you name it: add --encoder {name} if you trust that code (in "
            "Python: Fingerprinter.load(path, network=...))"
        )
    # Under the name in the file, wherever the class is now: the network's identity depends on it.
    return own.build(network, name, options, features)


def identity(encoder: Encoder, features: FeatureConfig) -> str:
    """Hash the weights and every setting that affects fingerprints: 16 hex digits."""
    return digest(describe(encoder), asdict(features), encoder.state_dict())


def digest(network: dict[str, Any], features: dict[str, Any], tensors: dict[str, Tensor]) -> str:
    """Hash a network's description, the settings of its features and its weights."""
    hashed = hashlib.sha256()
    hashed.update(json.dumps({"encoder": network, "features": features}, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        hashed.update(name.encode())
        # In fp16, as stored, so that saving and loading keeps the identity.
        values = tensor.half() if tensor.is_floating_point() else tensor
        hashed.update(values.cpu().contiguous().numpy().tobytes())
    return hashed.hexdigest()[:16]


def pack_optimiser(optimiser: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Split an optimiser's state into flat tensors and the rest, which JSON can hold."""
    state = optimiser.state_dict()
    tensors: dict[str, Tensor] = {}
    numbers: dict[str, Any] = {}
    for index, slots in state["state"].items():
        for name, value in slots.items():
            key = f"{index}.{name}"
            if isinstance(value, Tensor):
                tensors[key] = value
            else:
                numbers[key] = value
    return tensors, {"numbers": numbers, "groups": state["param_groups"]}


def unpack_optimiser(
    optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor], rest: dict[str, Any]
) -> None:
    """Load into an optimiser what :func:`pack_optimiser` returned."""
    state: dict[int, dict[str, Any]] = {}
    for key, value in (*tensors.items(), *rest["numbers"].items()):
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    optimiser.load_state_dict({"state": state, "param_groups": rest["groups"]})
