"""Options that mean the same to all commands that build: data set, A site, molecules, seed, vacuum. Lengths in Å."""

import argparse

from qdip_struct.materials.datasets import DEFAULT_DATASET


def add_dataset(parser: argparse.ArgumentParser) -> None:
    """Declare ``--dataset``."""
    told = f"data set of the lattice constants ({DEFAULT_DATASET}; see 'qdip materials')"
    parser.add_argument("--dataset", metavar="NAME", help=told)


def add_a_site(parser: argparse.ArgumentParser) -> None:
    """Declare ``--a-site``."""
    told = "molecule, or one ion such as Cs in the place of MA and FA (molecule)"
    parser.add_argument("--a-site", default="molecule", metavar="ION", help=told)


def add_orientation(parser: argparse.ArgumentParser) -> None:
    """Declare ``--orientation``."""
    told = "of molecules: antiparallel, parallel, random (antiparallel)"
    parser.add_argument("--orientation", default="antiparallel", help=told)


def add_seed(parser: argparse.ArgumentParser) -> None:
    """Declare ``--seed``."""
    told = "decides what symmetry leaves open: alloys, random orientations, which of equal sites change (0)"
    parser.add_argument("--seed", type=_seed, default=0, metavar="N", help=told)


def add_vacuum(parser: argparse.ArgumentParser, *, where: str = "along z", length: float = 20.0) -> None:
    """Declare ``--vacuum``: an empty ``length`` (Å) by default, and where it lies."""
    told = f"empty length {where}, Å ({length:g})"
    parser.add_argument("--vacuum", type=float, default=length, metavar="A", help=told)


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"the seed is '{text}'; expected 0 or a larger whole number")
    return int(text)
