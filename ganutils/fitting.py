"""`fit` and `evaluate` for models with several players: the door that Keras' users come through, with its checks."""

import gc

import keras
import numpy as np
import tensorflow as tf

from ganutils import data, guards, keras_workarounds, strategies, validation

LOOKED_AT = 64  # images of a dataset
_WITHOUT_MEANING = ("class_weight", "sample_weight", "validation_split")


class CheckedFit(keras_workarounds.NoSymbolicBuild, keras.Model):
    """A `keras.Model` whose data and arguments are checked before a weight moves, and whose `fit` takes a backup."""

    def state(self):
        """Return all variables of the model and of its optimizers, but for metrics, which each epoch starts anew."""
        found = [*self.variables, *(v for optimizer in self.optimizers.values() for v in optimizer.variables)]
        return list({id(variable): variable for variable in found}.values())

    def save(self, *args, **kwargs):
        """Not possible: raises a ValueError that says what is."""
        raise ValueError(
            "a model with several players cannot be saved as one file; use save_weights('gan.weights.h5'), or save "
            "a network by itself: gan.networks['generator'].save('generator.keras')"
        )

    export = save

    def validate(self, batch):
        """Return a dict of scalars, by names of `measures`, for `evaluate` and `validation_data`. To be overridden."""

    def prepare(self, batch):
        """Return a batch of a dataset as `losses` takes it, after a look at it; in the dataset's own graph."""
        return prepared(batch)

    def _check_validation(self):
        if type(self).validate is CheckedFit.validate:
            raise ValueError(f"{type(self).__name__} has nothing to validate; override `validate(batch)`")

    def evaluate(self, x=None, y=None, batch_size=None, **kwargs):
        """As `keras.Model.evaluate`: means of what `validate` returns."""
        self._check_validation()
        with guards.errors_in_words():
            return super().evaluate(self._checked(x, y), y, batch_size, **_without_weights(kwargs))

    def train_on_batch(self, x, y=None, **kwargs):
        """As `keras.Model.train_on_batch`."""
        with guards.errors_in_words():
            return super().train_on_batch(self._checked_array(x, y), y, **_without_weights(kwargs))

    def test_on_batch(self, x, y=None, **kwargs):
        """As `keras.Model.test_on_batch`."""
        with guards.errors_in_words():
            return super().test_on_batch(self._checked_array(x, y), y, **_without_weights(kwargs))

    def predict(self, x, *args, **kwargs):
        """As `keras.Model.predict`: images of what the model is called with, in batches."""
        if not isinstance(x, tf.data.Dataset):
            x = [np.asarray(part) for part in x] if isinstance(x, (tuple, list)) else np.asarray(x)
            if not all(part.size for part in tf.nest.flatten(x)):
                raise ValueError("there is nothing to draw from; give latents (n, latent_dim), n at least 1")
            self.check_inputs(x)
        with guards.errors_in_words():
            return super().predict(x, *args, **kwargs)

    def check_condition(self, condition):
        """Raise a ValueError where what belongs to images, an array of labels say, cannot be. May be overridden."""

    def check_inputs(self, inputs):
        """Raise a ValueError where the model cannot draw from what it is called with. May be overridden."""

    def fit(
        self, x=None, y=None, batch_size=None, epochs=1, *, callbacks=(), backup=None, steps_per_epoch=None, **kwargs
    ):
        """As `keras.Model.fit`, with a backup.

        Arrays become a `data.pipeline`, in batches of 32 or of all images where there are fewer. A finite dataset is
        read as one endless stream, cut into epochs of its own length or of `steps_per_epoch`. Keras would otherwise
        make a varying number of iterators, each with another order of the data, so that a resumed run could not
        repeat the order.

        Args:
            x: a tf.data.Dataset, such as `data.pipeline` makes, or an array of images (then `y` may hold labels).
                Images are uint8 in [0, 255] or float in [-1, 1]; of a dataset the first ones are checked.
            backup: a `callbacks.Backup`, or None. With one, an interrupted run is resumed: the first epoch, the
                order of the data and the state of all `callbacks` that have one are taken from it.

        Raises:
            ValueError: what `data.check_images` refuses, arguments that have no meaning here, an epoch's length
                that `steps_per_execution` does not divide, a backup of another run, or with several devices what
                `strategies.check_dataset` refuses.
            RuntimeError: another worker is lost.
        """
        if not self.compiled:
            raise ValueError("the model is not compiled; call compile(...) with its optimizers first")
        if kwargs.pop("initial_epoch", 0):
            raise ValueError("initial_epoch alone does not resume a run: its data would begin anew; give a backup")
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
                raise ValueError("arrays are shuffled; for an order of your own, give a tf.data.Dataset")
            x = data.pipeline(x, y, batch_size=batch_size or min(32, len(x)))
        elif batch_size is not None:
            raise ValueError("batch_size is for arrays; a dataset has batches: data.pipeline(images, batch_size=...)")
        strategies.check_dataset(x, self)
        length = int(x.cardinality())
        if length == 0:
            raise ValueError("the dataset holds no batch; give a smaller batch size, or more images")
        if length == tf.data.INFINITE_CARDINALITY and steps_per_epoch is None:
            raise ValueError("the dataset never ends; say how long an epoch is: fit(..., steps_per_epoch=...)")
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
            callbacks, self.train_function = [*callbacks, backup], None  # Keras' function of an earlier call goes
            # From the first pass on, even if somebody has looked at the dataset before.
            passes, rest = divmod(first * steps_per_epoch, length)
            x = x.source.batches(passes).repeat().skip(rest)
        elif length > 0:
            x = x.repeat()
        # Before anything draws from a model that has diverged.
        callbacks = [guard, *(callback for callback in callbacks if callback is not guard)]
        # A dataset shuffles itself, and Keras warns at each call unless it is told so.
        kwargs["shuffle"] = False
        strategy = self.distribute_strategy
        if strategy.num_replicas_in_sync > 1:
            x = strategies.shard(x)
            callbacks.append(strategies.SpreadRandomState())
        # Earlier models of a notebook hang in reference cycles, with their data; a laptop needs the memory.
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
        """Return what `fit` was given, with a look at images and what belongs to them; at the first of a dataset."""
        if isinstance(x, tf.data.Dataset):
            if y is not None:
                raise ValueError("y is for arrays; put labels into the dataset: data.pipeline(images, labels, ...)")
            if not hasattr(x, "source"):
                if isinstance(x.element_spec, dict):
                    raise ValueError("the dataset holds dicts; give images, or pairs of images and labels")
                parts = _first_of(x)
                for i, part in enumerate(parts):
                    if part.ndim == 4 or (part.ndim == 3 and i == 0):
                        data.check_images(part)
            else:
                parts = x.source.arrays
            if len(parts) == 2:
                self.check_condition(parts[1])
            # In the dataset and not in the step, since XLA leaves assertions out.
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
                raise ValueError(f"{rows} labels for {len(x)} images; give one label an image")
            self.check_condition(y)
        return x


def prepared(batch):
    """Return a batch as its dataset has it, with bytes of images mapped to float32 in [-1, 1].

    The first images of a dataset are looked at before; here each batch is, for what comes later.
    """

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
    """Return arguments of Keras without those that mean nothing here; raise a ValueError where one was given."""
    for name in _WITHOUT_MEANING:
        if (given := kwargs.get(name)) is not None and not (name == "validation_split" and given == 0):
            raise ValueError(f"{name} has no meaning for several players with losses of their own; leave it out")
    return {name: value for name, value in kwargs.items() if name not in _WITHOUT_MEANING}


def pair(values, name="a batch"):
    """Return the images and the condition of a batch, or of validation data; either may have no condition."""
    parts = values if isinstance(values, (tuple, list)) else (values, None)
    if len(parts) not in (1, 2):
        raise ValueError(f"{name} has {len(parts)} parts; give images, or images and labels")
    return (*parts, None)[:2]


def _first_of(dataset):
    """Return the first rows of a dataset's parts, of as many images as show whether all values are in [0, 1]."""
    seen = []
    for batch in dataset:
        seen.append([np.asarray(part) for part in tf.nest.flatten(batch)])
        if not all(part.ndim for part in seen[-1]):
            raise ValueError("the dataset holds single numbers; give batches of images, as data.pipeline does")
        if sum(len(parts[0]) for parts in seen) >= LOOKED_AT:
            break
    if not seen or next(iter(dataset), None) is None:  # a generator that is used up, say
        raise ValueError("the dataset holds no batch, or gives its batches only once; let it begin anew each time")
    if any(len({part.shape[1:] for part in parts}) > 1 for parts in zip(*seen, strict=True)):
        raise ValueError("the dataset's images differ in size from batch to batch; give them one size")
    return [np.concatenate(parts) for parts in zip(*seen, strict=True)]
