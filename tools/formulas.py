"""Formulas as MathML, which browsers set without a script and without a network."""

import base64
from pathlib import Path

import math_core

FONT = Path(__file__).parent / "page" / "math.woff2"
_CONVERTER = math_core.LatexToMathML(fancy_error=False)


def mathml(latex, display=False):
    """Return a formula of LaTeX as an element `<math>`.

    Args:
        latex: the formula without its dollars.
        display: whether it stands on a line of its own.

    Raises:
        ValueError: the formula has an error or a command that is not known.
    """
    try:
        return _CONVERTER.convert_with_local_state(latex.strip(), displaystyle=display)
    except math_core.LatexError as error:
        raise ValueError(f"the formula {latex.strip()!r} cannot be set: {error}") from error


def font_face():
    """Return the CSS of the font "Course Math": readers' own fonts differ, and telephones have none for formulas."""
    font = base64.b64encode(FONT.read_bytes()).decode()
    return f'@font-face {{ font-family: "Course Math"; src: url(data:font/woff2;base64,{font}) format("woff2"); }}'
