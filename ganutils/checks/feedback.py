"""The results of checks: passed, not yet, not attempted or not graded, with what was expected and what to do."""

import contextlib
import functools
import html
import io
import itertools
import linecache
import os
import re
import signal
import threading
import time
import traceback
import warnings
from dataclasses import dataclass, field
from pathlib import Path

from IPython.display import display

PASSED, NOT_YET, NOT_ATTEMPTED, NOT_GRADED = "passed", "not yet", "not attempted", "not graded"
SYMBOLS = {PASSED: "✓", NOT_YET: "✗", NOT_ATTEMPTED: "○", NOT_GRADED: "?"}
COLOURS = {PASSED: "#0072b2", NOT_YET: "#d55e00", NOT_ATTEMPTED: "#777777", NOT_GRADED: "#777777"}
# On the clock, a check may take this many times its limit of computing time, for a busy machine.
WAITING = 10
# A check that computes next to nothing for this many seconds is waiting in vain.
IDLE = 60
# A loop that swallows this many alarms, one per second, will swallow nbgrader's interrupt as well.
PATIENCE = 10
# The end of each task's stub, from nbgrader_config.py. TensorFlow and Keras raise NotImplementedError too.
STUB = ": your code goes here"


class Wrong(Exception):
    """A wrong answer: raised by the body of a check, and caught by `judge`.

    Args:
        expected: text, what a correct answer gives.
        got: text, what this answer gave.
        reason: text, the misconception that is its likely cause.
        see: text, the lesson and section that explain it.
    """

    def __init__(self, expected, got, reason, see):
        super().__init__(f"expected {expected}, got {got}")
        self.expected, self.got, self.reason, self.see = expected, got, reason, see


class TimeUp(BaseException):
    """A check ran out of time. Not an `Exception`, so that a student's `except Exception` does not swallow it."""


@dataclass
class Feedback:
    """The result of one task, shown as text or, in notebooks, in colour.

    Attributes:
        title: the task's number and name.
        state: "passed", "not yet", "not attempted" or, if a check gave up, "not graded".
        lines: pairs of a heading and a sentence.
    """

    title: str
    state: str
    lines: list = field(default_factory=list)

    def __repr__(self):
        rows = [f"{SYMBOLS[self.state]} {self.title}: {self.state}"]
        width = max([len(heading) for heading, _ in self.lines], default=0) + 3
        return "\n".join(rows + [f"    {heading + ':':{width}}{text}" for heading, text in self.lines])

    def _repr_html_(self):
        rows = "".join(f"<div><b>{html.escape(heading)}:</b> {_as_html(text)}</div>" for heading, text in self.lines)
        return (
            f'<div style="border-left: 4px solid {COLOURS[self.state]}; padding: 2px 10px">'
            f"<div><b>{SYMBOLS[self.state]} {html.escape(self.title)}: {self.state}</b></div>{rows}</div>"
        )


def _as_html(text):
    """Return a text as HTML, with its *emphasis* and `code` marked up and everything else escaped."""
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))
    return re.sub(r"(?<![\w*])\*(?=\S)([^*]+)(?<=\S)\*(?![\w*])", r"<em>\1</em>", text)


@contextlib.contextmanager
def time_limit(seconds):
    """Raise `TimeUp` in the block after some seconds of computing.

    The limit is on this process' processor time, so that other programs do not end a check; with several busy
    processors, it is on the clock. The block also ends after `WAITING` times as many seconds on the clock, or after
    `IDLE` seconds of which less than a hundredth was computing. As a loop may swallow `TimeUp` with a bare `except:`,
    it is raised again every second. While nbgrader grades, the kernel exits after the tenth time, since all cells
    after this one would wait in vain.

    Args:
        seconds: above 0. There is no limit except in the main thread of a POSIX system.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    alarms, computed, began = itertools.count(1), time.process_time(), time.monotonic()

    def look(*_):
        taken, waited = time.process_time() - computed, time.monotonic() - began
        idle = waited > IDLE and taken < waited / 100
        if min(taken, waited) < seconds and waited < WAITING * seconds and not idle:
            return
        if next(alarms) > PATIENCE and os.environ.get("NBGRADER_EXECUTION"):
            os._exit(1)
        raise TimeUp(f"{IDLE} seconds without computing" if idle else f"{seconds} seconds of computing")

    before = signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, min(seconds, 1), min(seconds, 1))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def judge(title, body, answers, options=None, read=None, seconds=30, late="does a loop never end?"):
    """Run one check and return its `Feedback`, which includes errors that the student's code raises.

    Args:
        title: the task's number and name.
        body: function of the answers; it raises `Wrong`, or returns None or a remark for those who pass.
        answers: tuple of the student's answers, mostly functions.
        options: dict of keyword arguments for `body`.
        read: text, the lesson and section that explain the task, shown with errors of the student's code.
        seconds: of computing, after which the check gives up.
        late: text, the likely cause if it does.
    """
    again = [("see", read)] if read else []
    try:
        # nbgrader counts a cell that writes to standard error as failed, and a student's code may issue warnings.
        with time_limit(seconds), contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            remark = body(*answers, **(options or {}))
    except Wrong as wrong:
        lines = [("expected", wrong.expected), ("got", wrong.got)]
        return Feedback(title, NOT_YET, [*lines, ("likely cause", wrong.reason), ("see", wrong.see)])
    except TimeUp as up:
        return Feedback(title, NOT_GRADED, [("got", f"no answer within {up}: {late}"), *again])
    except (Exception, SystemExit) as error:  # sys.exit() would cost the points of all tests in the same cell
        if isinstance(error, NotImplementedError) and str(error).endswith(STUB):
            todo = "replace the line that raises NotImplementedError with your code"
            return Feedback(title, NOT_ATTEMPTED, [("to do", todo)])
        lines = [("got", f"{type(error).__name__}: {_first_line(error)}")]
        if place := _students_line(error):
            lines.append(("where", place))
        return Feedback(title, NOT_YET, [*lines, *again])
    return Feedback(title, PASSED, [("remark", remark)] if remark else [])


def _first_line(error):
    """Return the first line of an error's message, without colours and without Keras' line about the layer."""
    text = re.sub(r"\x1b\[\d*m", "", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line for line in lines if not line.startswith("Exception encountered when calling")), "")[:300]


def _students_line(error):
    """Return the last line of a notebook cell in an error's traceback, or None."""
    # The file names of cells do not exist; all other code is on disk, or in Python itself.
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not (Path(frame.filename).exists() or frame.filename.startswith("<frozen"))
    ]
    if not frames:
        return None
    text = (frames[-1].line or linecache.getline(frames[-1].filename, frames[-1].lineno)).strip()
    return f"line {frames[-1].lineno} of the cell: {text}" if text else None


def check(title, read, seconds=30, late="does a loop never end?"):
    """Turn a function that raises `Wrong` into a check, which shows its feedback and returns points.

    The check is called with the student's functions and `points`, and returns `points` or 0; nbgrader
    takes a cell's last value as its score. The function itself is the check's attribute `body`. The arguments are
    those of `judge`.
    """

    def decorate(body):
        @functools.wraps(body)
        def run(*answers, points=1, **options):
            feedback = judge(title, body, answers, options, read, seconds, late)
            display(feedback)
            return points if feedback.state == PASSED else 0

        run.body, run.title = body, title
        return run

    return decorate


def unseen(tests, seconds=30):
    """Run the hidden tests, show which ones passed, and return the points.

    Args:
        tests: dict from a name to a pair: points, and a function without arguments. The function raises any error
            for a wrong answer; it may return a share between 0 and 1 for a partly correct one.
        seconds: of computing for each test, after which it gives up, and the task is not graded.
    """
    total, lines, state = 0.0, [], PASSED
    for name, (points, test) in tests.items():
        shares = []
        found = judge(name, lambda test=test, shares=shares: shares.append(test()), (), seconds=seconds)
        share = (1 if shares[0] is None else float(shares[0])) if found.state == PASSED else 0
        total += points * share
        gave_up = f"{NOT_GRADED}, {found.lines[0][1]}" if found.state == NOT_GRADED else ""
        lines.append((name, gave_up or f"{points * share:g} of {points:g}"))
        if NOT_GRADED in (state, found.state):
            state = NOT_GRADED
        elif share < 1:
            state = NOT_YET
    display(Feedback("Tests on other inputs", state, lines))
    return round(total, 2)
