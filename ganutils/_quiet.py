"""Import TensorFlow without its start-up messages, which would otherwise be stored in the notebook."""

import os
import tempfile

# Keep warnings of TensorFlow's C++ code out of notebooks; errors still reach the user as exceptions.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# The training loop is written for TensorFlow; otherwise Keras would use the backend in the user's configuration.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
# By default TensorFlow uses oneDNN's convolutions only on processors with AVX-512 VNNI or better. With only AVX2 they
# made a training step of lesson 02's small DCGAN 1.2 times as fast, and one of the baseline DCGAN 1.4 times.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def import_tensorflow():
    """Import TensorFlow with file descriptor 2 redirected: its libraries write there before they read any setting."""
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
    # TensorFlow warns about retracing when a notebook trains its fifth model, although that is intended.
    tf.get_logger().setLevel("ERROR")


def check_keras():
    """Raise an ImportError that says what to do if Keras is too old or uses another backend."""
    # Before Keras is imported, since it would complain that the other backend is missing.
    backend = os.environ["KERAS_BACKEND"]
    if backend == "tensorflow":
        import keras

        backend = keras.backend.backend()
    if backend != "tensorflow":
        raise ImportError(
            f"Keras runs on {backend} here, but this course needs TensorFlow. Set the environment variable "
            "KERAS_BACKEND=tensorflow, and restart the kernel."
        )
    # The user's keras.json may say otherwise; the course's networks and weights need these settings.
    if (keras.config.image_data_format(), keras.config.floatx()) != ("channels_last", "float32"):
        print("Keras is set to channels_first or to another floatx here; this course uses channels_last and float32.")
        keras.config.set_image_data_format("channels_last")
        keras.config.set_floatx("float32")
    if tuple(int(part) for part in keras.__version__.split(".")[:2]) < (3, 12):
        raise ImportError(f"Keras {keras.__version__} is too old for this course; it needs 3.12 or newer.")
