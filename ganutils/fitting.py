"""`fit` and `evaluate` for models with several players: the door that Keras' users come through, with its checks."""

import gc
import re

import keras
import numpy as np
import tensorflow as tf

from ganutils import data, keras_workarounds, strategies


class CheckedFit(keras_workarounds.NoSymbolicBuild, keras.Model):
    """A `keras.Model` whose data and arguments are checked before a weight moves, and whose `fit` takes a backup."""

    def save(self, *args, **kwargs):
        raise ValueError(
            "a model with several players cannot be saved as one file; use save_weights('gan.weights.h5'), or save "
            "a network by itself: gan.networks['generator'].save('generator.keras')"
        )

    def validate(self, batch):
        """Return a dict of scalars, by names of `measures`, for `evaluate` and `validation_data`. To be overridden."""

    def _check_validation(self):
        if type(self).validate is CheckedFit.validate:
            raise ValueError(f"{type(self).__name__} has nothing to validate; override `validate(batch)`")

    def evaluate(self, x=None, y=None, **kwargs):
        """As `keras.Model.evaluate`: means of what `validate` returns."""
        self._check_validation()
        return super().evaluate(_checked(x, y), y, **kwargs)

    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        epochs=1,
        verbose="auto",
        callbacks=None,
        *,
        backup=None,
        steps_per_epoch=None,
        initial_epoch=0,
        **kwargs,
    ):
        """As `keras.Model.fit`, with a backup.

        A finite dataset is read as one endless stream, cut into epochs of its own length or of `steps_per_epoch`.
        Keras would otherwise make a varying number of iterators, each with another order of the data, so that a
        resumed run could not repeat the order.

        Args:
            x: a tf.data.Dataset, such as `data.pipeline` makes, or an array of images (then `y` may hold labels).
                Images are uint8 in [0, 255] or float in [-1, 1].
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
        for name in ("class_weight", "sample_weight", "validation_split"):
            if np.any(kwargs.pop(name, None)):
                raise ValueError(f"{name} has no meaning for several players with losses of their own; leave it out")
        if kwargs.get("validation_data") is not None:
            self._check_validation()
        x, callbacks = _checked(x, y), list(tf.nest.flatten(callbacks or []))
        strategies.check_dataset(x, self)
        is_dataset = isinstance(x, tf.data.Dataset)
        length = int(x.cardinality()) if is_dataset else 0
        steps_per_epoch = steps_per_epoch or (length if length > 0 else None)
        if is_dataset and steps_per_epoch and steps_per_epoch % self.steps_per_execution:
            raise ValueError(
                f"{steps_per_epoch} batches an epoch are not a multiple of steps_per_execution="
                f"{self.steps_per_execution}; an epoch would run into the next one. Choose a divisor, or "
                "another number of images or batch size"
            )
        if backup is not None:
            if initial_epoch:
                raise ValueError(f"initial_epoch={initial_epoch} and a backup; leave it out, the backup knows")
            initial_epoch = backup.prepare(self, x, steps_per_epoch, epochs, callbacks)
            callbacks.append(backup)
        if is_dataset:
            # A dataset shuffles itself, and Keras warns at each call unless it is told so.
            kwargs.setdefault("shuffle", False)
            if backup is not None and hasattr(x, "source") and steps_per_epoch == length:
                x = x.source.batches(initial_epoch).repeat()  # from the first pass, also if somebody has looked at one
            else:
                x = x.repeat() if length > 0 else x
                x = x.skip(initial_epoch * steps_per_epoch) if backup is not None else x
        strategy = self.distribute_strategy
        if strategy.num_replicas_in_sync > 1:
            x = strategies.shard(x)
            callbacks.append(strategies.SpreadRandomState())
        # Earlier models of a notebook hang in reference cycles, with their data; a laptop needs the memory.
        gc.collect()
        numbers = {"epoch": initial_epoch, "epochs": epochs, "steps": steps_per_epoch or 0}
        options = {"batch_size": batch_size, "verbose": verbose, "callbacks": callbacks, "epochs": epochs}
        with strategies.clear_errors(strategy):
            strategies.check_agreement(strategy, **numbers, seed=tf.compat.v1.get_seed(0)[0])
            try:
                return super().fit(
                    x, y, steps_per_epoch=steps_per_epoch, initial_epoch=initial_epoch, **options, **kwargs
                )
            except tf.errors.InvalidArgumentError as error:
                # What a check inside of the dataset raised, from between TensorFlow's lines.
                if found := re.search(r"ValueError: (images .*)", str(error)):
                    raise ValueError(found[1]) from None
                raise


def _checked(x, y):
    """Return what `fit` was given, with its images checked: arrays now, those of a dataset batch by batch."""
    if isinstance(x, tf.data.Dataset):
        if y is not None:
            raise ValueError("labels beside a dataset; put them into it, such as data.pipeline(images, labels, ...)")
        floats = [spec.dtype.is_floating and spec.shape.rank == 4 for spec in tf.nest.flatten(x.element_spec)]
        return x if hasattr(x, "source") or not any(floats) else x.map(_check_batch)
    if isinstance(x, tf.distribute.DistributedDataset):
        return x
    if not isinstance(x, (np.ndarray, tf.Tensor)):
        raise ValueError(
            f"x is a {type(x).__name__}; give an array of images, or a tf.data.Dataset such as data.pipeline(images, "
            "batch_size=64)"
        )
    data.check_images(x)
    if y is not None and len(y) != len(x):
        raise ValueError(f"{len(y)} labels for {len(x)} images; give one label an image")
    return x


def _check_batch(*batch):
    batch = batch[0] if len(batch) == 1 else batch
    return tf.nest.map_structure(_check_floats, batch)


def _check_floats(values):
    if values.shape.rank != 4 or not values.dtype.is_floating:
        return values
    checked = tf.numpy_function(data.check_images, [values], values.dtype, stateful=False)
    return tf.ensure_shape(checked, values.shape)
