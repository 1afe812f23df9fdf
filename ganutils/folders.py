"""Folders of the course's data and of its output."""

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
