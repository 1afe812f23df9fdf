"""Data, training loop, metrics, plots and widgets of a course that teaches GANs by training them.

Importing this package imports TensorFlow without its start-up messages. Import it before Keras or TensorFlow, or
these messages are stored in the notebook.
"""

from ganutils import _quiet

__version__ = "0.1.0"

_quiet.import_tensorflow()
_quiet.check_keras()
