"""Data, training loop, plots and widgets of a course that teaches GANs by training them.

Importing this package imports TensorFlow, quietly. Import it before Keras or TensorFlow: their start-up
messages would otherwise be stored in the notebook.
"""

from ganutils import _quiet

__version__ = "0.1.0"

_quiet.import_tensorflow()
_quiet.check_keras()
