"""The files that the emulated machine is made of, each with its hash (`pins.json`)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

_FILE = Path(__file__).with_name("pins.json")


@dataclass(frozen=True)
class DebianPackage:
    """A package for arm64; `path` is below a mirror."""

    path: str
    sha256: str

    @property
    def file(self) -> str:
        """Its file name."""
        return PurePosixPath(self.path).name


@dataclass(frozen=True)
class Wheel:
    """A Python package for aarch64."""

    name: str
    version: str
    sha256: str

    @property
    def requirement(self) -> str:
        """Its line in a requirements file."""
        return f"{self.name}=={self.version} --hash=sha256:{self.sha256}"


@dataclass(frozen=True)
class Pins:
    """Everything pinned.

    Attributes:
        mirrors: Addresses that packages are below, the first to try first.
        digest: Changes with any of them.
    """

    mirrors: tuple[str, ...]
    packages: tuple[DebianPackage, ...]
    wheels: tuple[Wheel, ...]
    digest: str

    def version(self, name: str) -> str:
        """Return the version of a wheel."""
        return next(wheel.version for wheel in self.wheels if wheel.name == name)


@cache
def read_pins() -> Pins:
    """Read the list that comes with this version."""
    data = _FILE.read_bytes()
    fields = json.loads(data)
    return Pins(
        mirrors=tuple(fields["mirrors"]),
        packages=tuple(DebianPackage(**one) for one in fields["packages"]),
        wheels=tuple(Wheel(**one) for one in fields["wheels"]),
        digest=hashlib.sha256(data).hexdigest(),
    )
