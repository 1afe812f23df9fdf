"""`fit`, `evaluate` and `predict` for models with several players, with checks of their arguments."""

import gc

import keras
import numpy as np
import tensorflow as tf

from ganutils import data, guards, keras_workarounds, strategies, validation

LOOKED_AT = 64  # images of a dataset that are checked before training
_WITHOUT_MEANING = ("class_weight", "sample_weight", "validation_split")


class CheckedFit(keras_workarounds.NoSymbolicBuild, keras.Model):
    """A `keras.Model` that checks its data and arguments before training, and whose `fit` takes a backup."""

    def state(self):
        """Return all variables of the model and of its optimizers, except metrics, which each epoch resets."""
        found = [*self.variables, *(v for optimizer in self.optimizers.values() for v in optimizer.variables)]
        return list({id(variable): variable for variable in found}.values())

    def save(self, *args, **kwargs):
        """Raise a ValueError that names the alternatives."""
        raise ValueError(
            "a model with several players cannot be saved as one file; use save_weights('gan.weights.h5'), or save "
            "each network: gan.networks['generator'].save('generator.keras')"
        )

    export = save

    def validate(self, batch):
        """Return a dict from names in `measures` to scalars, for `evaluate` and `validation_data`. To be overridden."""

    def prepare(self, batch):
        """Return a batch as `losses` takes it, after checking it; runs in the dataset's graph."""
        return prepared(batch)

    def _check_validation(self):
        if type(self).validate is CheckedFit.validate:
            name = type(self).__name__
            raise ValueError(f"{name} has nothing to validate; evaluation.measure gives a FID; or override `validate`")

    def evaluate(self, x=None, y=None, batch_size=None, **kwargs):
        """Like `keras.Model.evaluate`: return the means of what `validate` returns."""
        self._check_validation()
        with guards.errors_in_words():
            return super().evaluate(self._checked(x, y), y, batch_size, **_without_weights(kwargs))

    def train_on_batch(self, x, y=None, **kwargs):
        """Like `keras.Model.train_on_batch`."""
        with guards.errors_in_words():
            return super().train_on_batch(self._checked_array(x, y), y, **_without_weights(kwargs))

    def test_on_batch(self, x, y=None, **kwargs):
        """Like `keras.Model.test_on_batch`."""
        with guards.errors_in_words():
            return super().test_on_batch(self._checked_array(x, y), y, **_without_weights(kwargs))

    def predict(self, x, *args, **kwargs):
        """Like `keras.Model.predict`: call the model on the inputs in batches, and return the images."""
        if not isinstance(x, tf.data.Dataset):
            x = [np.asarray(part) for part in x] if isinstance(x, (tuple, list)) else np.asarray(x)
            if not all(part.size for part in tf.nest.flatten(x)):
                raise ValueError("the inputs are empty; give latents (n, latent_dim), n at least 1")
            self.check_inputs(x)
        with guards.errors_in_words():
            return super().predict(x, *args, **kwargs)

    def check_condition(self, condition):
        """Raise a ValueError if the condition of images, such as their labels, is invalid. May be overridden."""

    def check_inputs(self, inputs):
        """Raise a ValueError if the model cannot generate images from these inputs. May be overridden."""

    def fit(
        self, x=None, y=None, batch_size=None, epochs=1, *, callbacks=(), backup=None, steps_per_epoch=None, **kwargs
    ):
        """Like `keras.Model.fit`, with a backup.

        Arrays become a `data.pipeline`, by default in batches of 32, or of all images if there are fewer. A finite
        dataset is read as one endless stream, cut into epochs of its own length or of `steps_per_epoch`: Keras would
        create a varying number of iterators, each with a new order of the data, which a resumed run could not repeat.

        Args:
            x: a tf.data.Dataset, such as `data.pipeline` returns, or an array of images (then `y` may hold labels).
                Images are uint8 in [0, 255] or float in [-1, 1].
            y: labels (n,) for an array of images, or None.
            batch_size: images per batch, for an array.
            epochs: total number of epochs, those in the backup included.
            callbacks: Keras callbacks.
            backup: a `callbacks.Backup` to resume from and to write to, or None. The first epoch, the
                order of the data and the state of `callbacks` are taken from it.
            steps_per_epoch: batches per epoch; None takes the length of the dataset.
            **kwargs: other arguments of `keras.Model.fit`.

        Raises:
            ValueError: images that `data.check_images` refuses, arguments that have no meaning here, an epoch's
                length that is not a multiple of `steps_per_execution`, a backup of a different run, or a dataset
                that several devices cannot share.
            RuntimeError: another worker is lost.
        """
        if not self.compiled:
            raise ValueError("the model is not compiled; call compile(...) with its optimizers first")
        if kwargs.pop("initial_epoch", 0):
            raise ValueError("initial_epoch alone does not resume a run: the data would start over; give a backup")
        kwargs = _without_weights(kwargs)
        if (validation_data := kwargs.get("validation_data")) is not None:
            self._check_validation()
            checked = self._checked(*pair(validation_data, "validation_data"))
            if isinstance(validation_data, tf.data.Dataset):
                kwargs["validation_data"] = checked
        x, callbacks = self._checked(x, y), list(tf.nest.flatten(callbacks or []))
        guards.check_callbacks(callbacks)
        epochs = validation.whole_number(epochs, "epochs", 1)
        if steps_per_epoch is not None:
            steps_per_epoch = validation.whole_number(steps_per_epoch, "steps_per_epoch", 1)
        if batch_size is not None:
            batch_size = validation.whole_number(batch_size, "batch_size", 1)
        if not isinstance(x, tf.data.Dataset):
            if kwargs.get("shuffle") is False:
                raise ValueError("arrays are shuffled; for your own order, give a tf.data.Dataset")
            x = data.pipeline(x, y, batch_size=batch_size or min(32, len(x)))
        elif batch_size is not None:
            raise ValueError("batch_size is for arrays; a dataset has batches: data.pipeline(images, batch_size=...)")
        strategies.check_dataset(x, self)
        length = int(x.cardinality())
        if length == 0:
            raise ValueError("the dataset holds no batch; give a smaller batch size, or more images")
        if length == tf.data.INFINITE_CARDINALITY and steps_per_epoch is None:
            raise ValueError("the dataset never ends; set the length of an epoch: fit(..., steps_per_epoch=...)")
        steps_per_epoch = steps_per_epoch or (length if length > 0 else None)
        if steps_per_epoch and steps_per_epoch % self.steps_per_execution:
            raise ValueError(
                f"{steps_per_epoch} batches an epoch are not a multiple of steps_per_execution="
                f"{self.steps_per_execution}; choose a divisor, or another number of images or batch size"
            )
        first, given = 0, [callback for callback in callbacks if isinstance(callback, guards.LastGoodState)]
        guard = given[0] if given else guards.LastGoodState()
        if backup is not None:
            if not hasattr(backup, "prepare") or isinstance(backup, type):
                raise ValueError(f"backup={backup!r} is not allowed; give one such as callbacks.Backup('build/run')")
            first = backup.prepare(self, x, steps_per_epoch, epochs, callbacks, validation_data)
            callbacks, self.train_function = [*callbacks, backup], None  # drop Keras' function of an earlier call
            # Count passes from the first one, even if the dataset has been iterated before.
            passes, rest = divmod(first * steps_per_epoch, length)
            x = x.source.batches(passes).repeat().skip(rest)
        elif length > 0:
            x = x.repeat()
        callbacks = [guard, *(callback for callback in callbacks if callback is not guard)]  # before others draw
        # Otherwise Keras warns that it ignores `shuffle` for a dataset.
        kwargs["shuffle"] = False
        strategy = self.distribute_strategy
        if strategy.num_replicas_in_sync > 1:
            x = strategies.shard(x)
            callbacks.append(strategies.SpreadRandomState())
        # Reference cycles keep a notebook's earlier models and their data alive; a laptop needs the memory.
        gc.collect()
        numbers = {"epoch": first, "epochs": epochs, "steps": steps_per_epoch or 0}
        options = {"callbacks": callbacks, "epochs": epochs, "initial_epoch": first}
        with strategies.clear_errors(strategy):
            strategies.check_agreement(strategy, **numbers, seed=tf.compat.v1.get_seed(0)[0])
            try:
                with guards.errors_in_words(guard.restore):
                    return super().fit(x, steps_per_epoch=steps_per_epoch, **options, **kwargs)
            finally:
                vars(self).pop("train_step", None)  # the function that a backup has traced

    def _checked(self, x, y):
        """Return the data of `fit` after checking images and labels; of a dataset, only the first ones."""
        if isinstance(x, tf.data.Dataset):
            if y is not None:
                raise ValueError("y is for arrays; put labels into the dataset: data.pipeline(images, labels, ...)")
            if not hasattr(x, "source"):
                if isinstance(x.element_spec, dict):
                    raise ValueError("the dataset holds dicts; give images, or pairs of images and labels")
                parts = _first_of(x)
                validation.check_parts(parts, "images")
            else:
                parts = x.source.arrays
            if len(parts) == 2:
                self.check_condition(parts[1])
            # In the dataset and not in the step, because XLA drops assertions.
            return x if hasattr(x, "source") else x.map(lambda *batch: self.prepare(batch))
        return self._checked_array(x, y)

    def _checked_array(self, x, y):
        if isinstance(x, dict):
            raise ValueError("x is a dict; give images, or images and labels: data.pipeline(images, labels, ...)")
        if not isinstance(x, (np.ndarray, tf.Tensor)):
            raise ValueError(
                f"x is a {type(x).__name__}; give an array of images or a tf.data.Dataset: data.pipeline(...)"
            )
        data.check_images(x)
        if y is not None:
            rows = len(y) if np.ndim(y) else 1
            if rows != len(x):
                raise ValueError(f"{rows} labels for {len(x)} images; give one label per image")
            self.check_condition(y)
        return x


def prepared(batch):
    """Return a batch with uint8 images scaled to float32 in [-1, 1], and with a check of each batch's range."""

    def scaled(values):
        if len(values.shape) != 4:
            return values
        if values.dtype.is_floating:
            text = (
                "a batch of the dataset holds images with NaN or values beyond [-1, 1]; give uint8, or use data.scale"
            )
            return guards.checked(values, tf.abs(values) <= 1 + validation.TOLERANCE, text)  # which NaN is not
        if values.dtype != tf.uint8:
            raise ValueError(f"images are {values.dtype.name}; give uint8 in [0, 255] or float in [-1, 1]")
        return data.scale(values)

    if isinstance(batch, tuple):
        batch = tuple(part for part in batch if part is not None)  # Keras adds None for missing labels and weights
        batch = batch[0] if len(batch) == 1 else batch
    return tf.nest.map_structure(scaled, batch)


def _without_weights(kwargs):
    """Return Keras' arguments without those that have no meaning here; raise a ValueError if one of these is set."""
    for name in _WITHOUT_MEANING:
        if (given := kwargs.get(name)) is not None and not (name == "validation_split" and given == 0):
            raise ValueError(f"{name} has no meaning for several players with losses of their own; leave it out")
    return {name: value for name, value in kwargs.items() if name not in _WITHOUT_MEANING}


def pair(values, name="a batch"):
    """Return the images and the condition (or None) of a batch or of validation data."""
    parts = values if isinstance(values, (tuple, list)) else (values, None)
    if len(parts) not in (1, 2):
        raise ValueError(f"{name} has {len(parts)} parts; give images, or images and labels")
    return (*parts, None)[:2]


def _first_of(dataset):
    """Return the first `LOOKED_AT` or more rows of each part of a dataset."""
    seen = []
    for batch in dataset:
        seen.append([np.asarray(part) for part in tf.nest.flatten(batch)])
        if not all(part.ndim for part in seen[-1]):
            raise ValueError("the dataset holds single numbers; give batches of images, as data.pipeline does")
        if sum(len(parts[0]) for parts in seen) >= LOOKED_AT:
            break
    if not seen or next(iter(dataset), None) is None:  # for example an exhausted generator
        raise ValueError(
            "the dataset holds no batch, or can be read only once; give a batch size that is at most the number of "
            "images, and make it start over each time"
        )
    if any(len({part.shape[1:] for part in parts}) > 1 for parts in zip(*seen, strict=True)):
        raise ValueError("the dataset's images differ in size from batch to batch; give them one size")
    return [np.concatenate(parts) for parts in zip(*seen, strict=True)]
