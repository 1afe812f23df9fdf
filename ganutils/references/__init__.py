"""Is a student's run normal? The recorded reference runs of lessons, and comparisons with them.

`tools/record_reference_runs.py` makes `data/reference_runs/LESSON.json`: the lesson's own recipe, trained
with several seeds. The lessons' default seed is none of them.
"""

from ganutils.references._comparison import (
    SMOOTHING,
    Comparison,
    Departure,
    Expected,
    check_history,
    compare,
    departures,
    expected,
    smooth,
)
from ganutils.references._record import (
    CURVES,
    LESSONS,
    MEASURES,
    SAMPLES,
    Band,
    Quality,
    band,
    floor,
    load,
    measure,
)
from ganutils.references._verdict import verdict

__all__ = [
    "CURVES",
    "LESSONS",
    "MEASURES",
    "SAMPLES",
    "SMOOTHING",
    "Band",
    "Comparison",
    "Departure",
    "Expected",
    "Quality",
    "band",
    "check_history",
    "compare",
    "departures",
    "expected",
    "floor",
    "load",
    "measure",
    "smooth",
    "verdict",
]
