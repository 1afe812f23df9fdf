"""Import TensorFlow without its start-up messages, which would otherwise be stored in the notebook."""

import os
import tempfile

# Warnings of TensorFlow's C++ side stay out of notebooks; errors still reach the user as exceptions.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# The training loop is written for TensorFlow; Keras would otherwise read the user's own configuration.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
# TensorFlow uses oneDNN's convolutions by default only where it sees AVX-512 VNNI or better. With AVX2 alone they
# made a training step of lesson 02 1.2 times as fast, and one of the familiar networks 1.4 times.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def import_tensorflow():
    """Import TensorFlow with file descriptor 2 turned away: its libraries write there before any setting is read."""
    standard_error = os.dup(2)
    with tempfile.TemporaryFile() as messages:
        os.dup2(messages.fileno(), 2)
        try:
            import tensorflow as tf
        except ImportError as error:
            raise ImportError(
                f"TensorFlow cannot be loaded ({error}). In the course's folder run "
                '`python -m pip install -c constraints.txt -e ".[cpu,notebooks]"` (`gpu` instead of `cpu` with an '
                "NVIDIA GPU under Linux)."
            ) from None
        finally:
            os.dup2(standard_error, 2)
            os.close(standard_error)
    # TensorFlow warns that a function is traced again when a notebook trains its fifth model, as it should.
    tf.get_logger().setLevel("ERROR")


def check_keras():
    """Raise an ImportError that says what to do where Keras is too old or runs on another backend."""
    # Before Keras is imported: it would look for the other backend, and say that this is missing.
    backend = os.environ["KERAS_BACKEND"]
    if backend == "tensorflow":
        import keras

        backend = keras.backend.backend()
    if backend != "tensorflow":
        raise ImportError(
            f"Keras runs on {backend} here, and this course on TensorFlow. Set the environment variable "
            "KERAS_BACKEND=tensorflow, and restart the kernel."
        )
    # A keras.json of the user's own: the networks and weights of the course are written for these.
    if (keras.config.image_data_format(), keras.config.floatx()) != ("channels_last", "float32"):
        print("Keras is set to channels_first or to another floatx here; this course uses channels_last and float32.")
        keras.config.set_image_data_format("channels_last")
        keras.config.set_floatx("float32")
    if tuple(int(part) for part in keras.__version__.split(".")[:2]) < (3, 12):
        raise ImportError(f"Keras {keras.__version__} is too old for this course; it needs 3.12 or newer.")
