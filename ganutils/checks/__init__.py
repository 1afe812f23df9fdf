"""Behavioural checks of students' code in the exercises.

A check tests what the code does: values at known inputs, which weights change, where gradients flow. It never reads
the code. Each assignment has a module of checks; `feedback` shows their results. In a notebook,

    checks.vanilla_gan.discriminator_loss(discriminator_loss, points=4)

shows passed, not yet, not attempted or not graded, and returns the points, which nbgrader takes as the cell's score.
"""

from . import conditional_gan, dcgan, evaluation, vanilla_gan
from .expectations import expect
from .feedback import Feedback, Wrong, check, judge, unseen

__all__ = [
    "Feedback",
    "Wrong",
    "check",
    "conditional_gan",
    "dcgan",
    "evaluation",
    "expect",
    "judge",
    "unseen",
    "vanilla_gan",
]
