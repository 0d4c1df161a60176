"""Open or make a library wherever it is, and ask about it before it is opened."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from grafprint.bundled import where_now
from grafprint.errors import CheckpointError, LibraryError
from grafprint.library import Library
from grafprint.library.folder import CATALOGUE
from grafprint.remote.address import Address, Place, missing_package, place_of

if TYPE_CHECKING:
    from grafprint.library.records import Network
    from grafprint.remote.library import RemoteLibrary

    AnyLibrary: TypeAlias = Library | RemoteLibrary
else:
    AnyLibrary = Library  # the other one needs packages that may not be installed


def open_library(
    place: Place | str,
    *,
    model_id: str | None = None,
    writable: bool = False,
    nprobe: int | None = None,
) -> AnyLibrary:
    """Open the library in a folder or at an address; as ``Library.open``.

    ``place`` is a path, or text such as ``postgresql://HOST/NAME``. ``nprobe`` is for folders only.

    Raises ConfigError for an address that cannot be one, MissingPackageError without the packages
    that an address needs.
    """
    place = place_of(place)
    if isinstance(place, Path):
        return Library.open(place, model_id=model_id, writable=writable, nprobe=nprobe)
    library = _remote()(place, writable=writable)
    try:
        if model_id is not None:
            library.check_model(model_id)
    except BaseException:
        library.release()
        raise
    return library


def create_library(
    place: Place | str, network: Network, *, factory: str | None = None
) -> AnyLibrary:
    """Make an empty library; as ``Library.create``. ``factory`` is for folders only."""
    place = place_of(place)
    if isinstance(place, Path):
        return Library.create(place, network, factory=factory)
    if factory is not None:
        raise LibraryError(
            "a FAISS factory string is for a library in a folder: choose the index of one on a "
            "server with `grafprint library reindex`"
        )
    return _remote().create(place, network)


def open_or_create(
    place: Place, network: Network, *, factory: str | None = None
) -> tuple[AnyLibrary, bool]:
    """The library for fingerprints of ``network``, writable, and whether it was made.

    Several programs may do this at the same time: one of them makes the library.
    """
    if not is_there(place):
        try:
            return create_library(place, network, factory=factory), True
        except LibraryError:
            if not is_there(place):
                raise
    return open_library(place, model_id=network.model_id, writable=True), False


def is_there(place: Place) -> bool:
    """Whether there is a library. Raises LibraryError if the server cannot be asked."""
    if isinstance(place, Path):
        return (place / CATALOGUE).is_file()
    _remote()
    from grafprint.remote.database import Database, has_library

    database = Database(place, writable=False)
    try:
        return database.read(has_library)
    finally:
        database.close()


def network_file(place: Place) -> Path | None:
    """The file of the network that made a library, if the library remembers one of its own."""
    if isinstance(place, Path):
        from grafprint.library import catalogue_file

        return catalogue_file.network_file(place)
    if not is_there(place):
        return None
    with open_library(place) as library:
        network = library.catalogue.network
    return where_now(Path(network)) if network else None


def network_of(place: Place, default: Path, remedy: str) -> Path:
    """The file of the network that a library remembers, or else ``default``.

    Raises CheckpointError, which ends with the ``remedy``, if that file is no longer there.
    """
    network = network_file(place)
    if network is not None and not network.is_file():
        raise CheckpointError(
            f"the library {place} was made with the network {network}, which is no longer there: "
            f"put it back, or {remedy}"
        )
    return network or default


def delete_new(place: Place) -> None:
    """Delete a library that was just made, unless another program adds to it."""
    if isinstance(place, Path):
        shutil.rmtree(place)
        return
    library = _remote()(place, writable=True)
    try:
        library.delete_if_new()
    finally:
        library.release()


def _remote() -> type[RemoteLibrary]:
    try:
        from grafprint.remote.library import RemoteLibrary
    except ModuleNotFoundError as error:
        raise missing_package(error) from error
    return RemoteLibrary


__all__ = [
    "Address",
    "AnyLibrary",
    "Place",
    "create_library",
    "delete_new",
    "is_there",
    "network_file",
    "network_of",
    "open_library",
    "open_or_create",
]
