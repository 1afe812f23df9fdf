"""Formulas as MathML, which browsers render without scripts and without a network."""

import base64
from pathlib import Path

import math_core

FONT = Path(__file__).parent / "page" / "math.woff2"
_CONVERTER = math_core.LatexToMathML(fancy_error=False)


def mathml(latex, display=False):
    """Return a LaTeX formula as a `<math>` element.

    Args:
        latex: the formula, without dollar signs.
        display: whether it is a displayed formula on its own line.

    Raises:
        ValueError: the formula has an error or an unknown command.
    """
    try:
        return _CONVERTER.convert_with_local_state(latex.strip(), displaystyle=display)
    except math_core.LatexError as error:
        raise ValueError(f"the formula {latex.strip()!r} cannot be rendered: {error}") from error


def font_face():
    """Return the CSS of the font "Course Math": readers' own fonts differ, and phones have none for formulas."""
    font = base64.b64encode(FONT.read_bytes()).decode()
    return f'@font-face {{ font-family: "Course Math"; src: url(data:font/woff2;base64,{font}) format("woff2"); }}'
