"""Check whether this machine is ready for the course, and say what to do if it is not."""

import os

import keras

from ganutils import checkpoints, data, features, folders, hardware


def doctor(arguments):
    """Check whether this machine is ready for the course, and say what to do if it is not."""
    found = hardware.machine()

    def writable():
        folders.BUILD.mkdir(parents=True, exist_ok=True)
        if not os.access(folders.BUILD, os.W_OK):
            raise OSError(f"{folders.BUILD} is not writable; set GANUTILS_BUILD to a folder that is")
        return str(folders.BUILD)

    def memory():
        if float(found["memory"].split()[0]) < 3:
            raise ValueError(f"{found['memory']}; a lesson needs 1.2 GB: close other programs")
        return found["memory"]

    checks = {
        "Python": lambda: found["Python"],
        "TensorFlow and Keras": lambda: f"{found['TensorFlow']} and {found['Keras']}, on {keras.backend.backend()}",
        "GPU": lambda: found["GPU"],
        "memory": memory,
        "data": lambda: f"{len(data.load_dataset().images):,} digits",
        "shipped weights": lambda: f"{len(list(checkpoints.FOLDER.glob('*.json')))} checkpoints",
        "classifier": lambda: f"{len(features.digit_classifier().network.weights)} arrays of weights",
        "folder to write to": writable,
        "speed": lambda: f"{hardware.measure_steps_per_second(1.0):.0f} training steps of lesson 02 a second",
    }
    ready = True
    for name, check in checks.items():
        try:
            print(f"ready      {name}: {check()}")
        except (ValueError, OSError) as error:
            ready = False
            print(f"NOT READY  {name}: {error}")
    return 0 if ready else 1
