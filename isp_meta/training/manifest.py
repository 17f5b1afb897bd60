"""What a training set says of itself: ``manifest.json`` beside its shards."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import IspMetaError, TrainingSetError
from ..io import read_bytes

__all__ = ["MANIFEST", "VERSION", "Manifest", "Shard", "sha256_of"]

MANIFEST = "manifest.json"
VERSION = 1
_FORMAT = "isp_meta training set"
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Shard:
    """The crops of one scene.

    Attributes:
        file: name in the set's folder: a NumPy array (crops, 6, crop, crop) uint16.
        split: "train" or "val".
        crops: how many.
        size: bytes of the file.
        sha256: of the file.
    """

    file: str
    split: str
    crops: int
    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The whole of it.

    Attributes:
        settings: how the set was made, for people.
        crop: side of the stored crops, pixels.
        shards: one for each scene that is in the set.
        sources: a row for each picture that was found: name, SHA-256, and either its shard's name
            and renderings, or why it was skipped.
    """

    settings: Mapping[str, Any]
    crop: int
    shards: Sequence[Shard]
    sources: Sequence[Mapping[str, Any]]

    def encode(self) -> bytes:
        """As JSON."""
        whole = {"format": _FORMAT, "version": VERSION, **asdict(self)}
        return (json.dumps(whole, indent=1) + "\n").encode()

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """The manifest of a set.

        Raises:
            TrainingSetError: there is none, it is damaged, or of another version.
        """
        path = folder / MANIFEST
        try:
            whole = json.loads(read_bytes(path, TrainingSetError))
        except (ValueError, RecursionError) as error:
            raise TrainingSetError(f"{path}: damaged ({error}); prepare the set again") from error
        if not isinstance(whole, dict) or whole.get("format") != _FORMAT:
            raise TrainingSetError(f"{path}: is no manifest of a training set")
        if whole.get("version") != VERSION:
            raise TrainingSetError(
                f"{path}: is of version {whole.get('version')}, this reads version {VERSION}; "
                "prepare the set again"
            )
        try:
            shards = tuple(Shard(**row) for row in whole["shards"])
            made = cls(whole["settings"], int(whole["crop"]), shards, whole["sources"])
            if made.crop < 1 or not all(_makes_sense(shard) for shard in shards):
                raise ValueError("a shard makes no sense")
        except (KeyError, TypeError, ValueError) as error:
            raise TrainingSetError(f"{path}: damaged ({error}); prepare the set again") from error
        return made

    @staticmethod
    def is_there(folder: Path) -> bool:
        """Whether a folder is a training set of any version, or the remains of one."""
        try:
            whole = json.loads(read_bytes(folder / MANIFEST, TrainingSetError))
        except (IspMetaError, ValueError, RecursionError):
            return False
        return isinstance(whole, dict) and whole.get("format") == _FORMAT


def _makes_sense(shard: Shard) -> bool:
    kinds = (shard.file, str), (shard.split, str), (shard.crops, int), (shard.size, int)
    # A name with a folder in it could lead anywhere.
    inside = all(isinstance(value, kind) for value, kind in kinds) and (
        Path(shard.file).name == shard.file
    )
    return inside and shard.crops >= 1 and shard.split in ("train", "val")


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
