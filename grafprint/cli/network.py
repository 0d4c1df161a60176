"""The network of a command: of ``--model``, or of the library."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from grafprint.cli.console import BUNDLED_MODEL
from grafprint.cli.progress import status
from grafprint.errors import ConfigError

if TYPE_CHECKING:
    from torch import nn

    from grafprint.fingerprint import Fingerprinter
    from grafprint.remote.address import Place


def network_of(library: Place, model: Path) -> Path:
    """The file of the network to use: ``--model``, without it the one that the library remembers.

    Raises CheckpointError if that is no longer there, LibraryError for a damaged library.
    """
    if model != BUNDLED_MODEL:
        return model
    from grafprint.remote import opening

    return opening.network_of(library, model, "say with --model where it is")


def load_fingerprinter(
    model: Path, device: str, library: Place, encoder: str | None = None
) -> Fingerprinter:
    """Load the network of ``--model``, or of the library, on ``--device``; see :func:`network_of`.

    ``encoder`` is the class of a network of one's own (``--encoder``). Imports torch, which takes
    seconds. Raises CheckpointError for a file that is not a network, ConfigError for a device or
    a class that cannot be used.
    """
    model = network_of(library, model)
    with status("loading the network"):
        from grafprint.fingerprint import Fingerprinter

        check_device(device)
        network = None if encoder is None else import_network(encoder)
        return Fingerprinter.load(model, device, network=network)


def import_network(encoder: str) -> type[nn.Module]:
    """Import the class of ``--encoder``, also from the current folder.

    Raises ConfigError if it cannot be had.
    """
    from grafprint.models import encoders

    if "" not in sys.path and str(Path.cwd()) not in sys.path:  # as with python -m
        sys.path.insert(0, str(Path.cwd()))
    return encoders.import_network(encoder)


def check_device(device: str, option: str = "--device") -> None:
    """Raise ConfigError, which names the option, unless PyTorch can use ``device``."""
    import torch

    try:
        torch.zeros(1, device=device).cpu()
    # PyTorch says so in many ways; which one depends on how it was built.
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"{option} {device} cannot be used: {reason}") from error
