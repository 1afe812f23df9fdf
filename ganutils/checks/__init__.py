"""Behavioural checks of what students write in the exercises.

A check looks at what code does: values at known inputs, which weights move, where gradients flow. It never reads
the code. Each assignment has a module of checks; `feedback` is how they speak. In a notebook:

    checks.vanilla_gan.discriminator_loss(discriminator_loss, points=4)

shows passed, not yet or not attempted, and returns the points, which nbgrader takes as the cell's score.
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
