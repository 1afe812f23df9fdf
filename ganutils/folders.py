"""Folders of the course's data and of its output."""

import hashlib
import os
import tempfile
from pathlib import Path

DATA = Path(os.environ.get("GANUTILS_DATA") or Path(__file__).resolve().parents[1] / "data")
ROOT = DATA.resolve().parent


def _writable():
    """Return GANUTILS_BUILD, or `build` in the course's folder, or a temporary folder if that is not writable."""
    if chosen := os.environ.get("GANUTILS_BUILD"):
        return Path(chosen)
    there = next((folder for folder in (ROOT / "build", ROOT) if folder.exists()), ROOT)
    return ROOT / "build" if os.access(there, os.W_OK) else Path(tempfile.gettempdir()) / "gan-course"


ADVICE = (
    "A `pip install` without -e does not include the course's data: install with `pip install -e .` in the course's "
    "folder, or set the environment variable GANUTILS_DATA to the folder `data` of a clone."
)
BUILD = _writable()


def verify(path, sha256, name):
    """Raise a FileNotFoundError or ValueError, with advice, if a file is missing or damaged.

    Args:
        path: path of the file.
        sha256: the expected digest.
        name: the file's name in the repository, or None for a user's own file.
    """
    advice = "Restore it, or create it again."
    if name:
        advice = f"Run `git checkout -- {name}` in the course's folder." if DATA.is_dir() else ADVICE
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing. {advice}")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        raise ValueError(f"{path} is damaged or was replaced: its sha256 is {found}, expected {sha256}. {advice}")
