"""PyTorch's peers: training loops and one published recipe, in an interpreter that needs torch and numpy only.

Reimplemented from the facts of the sources named below. This module answers a `common.Worker`; it imports neither
TensorFlow nor ganutils.
"""

import time

import common
import numpy as np
import torch
from torch import nn


def generator(latent_dim, generator_filters, generator_strides, kernel_size, hidden, **_):
    """`ganutils.models.dcgan_generator` in PyTorch; Keras' momentum of 0.9 is called 0.1 here."""

    def activated(channels, normalise):
        return normalise(channels, eps=1e-3, momentum=0.1), nn.LeakyReLU(0.2)

    first, *others = generator_filters
    layers, inputs = [], latent_dim
    for units in (hidden, 7 * 7 * first):
        if units is not None:
            layers += [nn.Linear(inputs, units, bias=False), *activated(units, nn.BatchNorm1d)]
            inputs = units
    layers.append(nn.Unflatten(1, (first, 7, 7)))
    for inputs, channels, stride in zip(generator_filters[:-1], others, generator_strides[:-1], strict=True):
        layers += [transposed(inputs, channels, kernel_size, stride, bias=False), *activated(channels, nn.BatchNorm2d)]
    return nn.Sequential(*layers, transposed(generator_filters[-1], 1, kernel_size, generator_strides[-1]), nn.Tanh())


def transposed(inputs, channels, kernel_size, stride, bias=True):
    """A transposed convolution that multiplies height and width by the stride.

    An odd kernel with a stride of 2 cannot be centred; PyTorch's output is then Keras' moved by one pixel.
    """
    padding = (kernel_size - stride + 1) // 2
    extra = 2 * padding - (kernel_size - stride)
    return nn.ConvTranspose2d(inputs, channels, kernel_size, stride, padding, output_padding=extra, bias=bias)


def discriminator(discriminator_filters, kernel_size, dropout, hidden, **_):
    """`ganutils.models.dcgan_discriminator` in PyTorch, padded by as many pixels on both sides."""
    layers, inputs = [], 1
    for channels in discriminator_filters:
        layers += [nn.Conv2d(inputs, channels, kernel_size, 2, (kernel_size - 1) // 2), nn.LeakyReLU(0.2)]
        layers += [nn.Dropout(dropout)] if dropout else []
        inputs = channels
    layers, inputs = [*layers, nn.Flatten()], 7 * 7 * inputs
    if hidden is not None:
        layers, inputs = [*layers, nn.Linear(inputs, hidden), nn.LeakyReLU(0.2)], hidden
    return nn.Sequential(*layers, nn.Linear(inputs, 1))


class TwoPassLoop:
    """The discriminator learns from real images, then from generated ones, then the generator from the new one.

    Source: github.com/pytorch/examples, dcgan/main.py: Adam with 2e-4 and β₁ = 0.5, one set of generated images a
    step, and a backward pass of the generator's loss through all of the discriminator, weights included.
    Logits replace its sigmoid. Its loader takes images one by one; here a batch is one indexing, which is quicker.
    Networks and images have PyTorch's memory format "channels last", the quicker one on processors.

    Args:
        architecture: a key of `common.ARCHITECTURES`.
        compiled: wrap both networks in `torch.compile`.
    """

    def __init__(self, architecture, compiled=False):
        shapes = common.ARCHITECTURES[architecture]
        self.latent_dim = shapes["latent_dim"]
        networks = [generator(**shapes), discriminator(**shapes)]
        self.weights = [sum(weight.numel() for weight in network.parameters()) for network in networks]
        networks = [network.to(memory_format=torch.channels_last) for network in networks]
        self.generator, self.discriminator = map(torch.compile, networks) if compiled else networks
        self.optimizers = [torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999)) for net in networks]
        self.entropy = nn.BCEWithLogitsLoss()

    def step(self, real_images):
        """Return the losses of the discriminator and of the generator."""
        generator_optimizer, discriminator_optimizer = self.optimizers
        n = len(real_images)
        ones, zeros = torch.ones(n, 1), torch.zeros(n, 1)
        discriminator_optimizer.zero_grad()
        real_loss = self.entropy(self.discriminator(real_images), ones)
        real_loss.backward()
        fake_images = self.generator(torch.randn(n, self.latent_dim))
        fake_loss = self.entropy(self.discriminator(fake_images.detach()), zeros)
        fake_loss.backward()
        discriminator_optimizer.step()
        generator_optimizer.zero_grad()
        generator_loss = self.entropy(self.discriminator(fake_images), ones)
        generator_loss.backward()
        generator_optimizer.step()
        return (real_loss + fake_loss).item(), generator_loss.item()


class PublishedDcgan:
    """github.com/eriklindernoren/PyTorch-GAN, implementations/dcgan/dcgan.py, with its defaults.

    Batch 64, Adam with 2e-4 and β₁ = 0.5, 100 latents, images of 32 x 32, whole channels dropped; the 0.8 that it
    gives to its batch norms is their ε. The generator's step comes first. The source stretches digits to 32 x 32;
    here they get a margin, which is cut off again, so that no measurement sees the blur of two stretchings.
    """

    batch_size, latent_dim = 64, 100

    def __init__(self, seed):
        torch.manual_seed(seed)
        self.generator = nn.Sequential(
            *(nn.Linear(100, 128 * 8 * 8), nn.Unflatten(1, (128, 8, 8)), nn.BatchNorm2d(128)),
            nn.Upsample(scale_factor=2),
            *(nn.Conv2d(128, 128, 3, 1, 1), nn.BatchNorm2d(128, 0.8), nn.LeakyReLU(0.2), nn.Upsample(scale_factor=2)),
            *(nn.Conv2d(128, 64, 3, 1, 1), nn.BatchNorm2d(64, 0.8), nn.LeakyReLU(0.2)),
            *(nn.Conv2d(64, 1, 3, 1, 1), nn.Tanh()),
        )
        stack, inputs = [], 1
        for channels in (16, 32, 64, 128):
            stack += [nn.Conv2d(inputs, channels, 3, 2, 1), nn.LeakyReLU(0.2), nn.Dropout2d(0.25)]
            if inputs > 1:
                stack.append(nn.BatchNorm2d(channels, 0.8))
            inputs = channels
        self.discriminator = nn.Sequential(*stack, nn.Flatten(), nn.Linear(128 * 2 * 2, 1))
        for layer in [*self.generator, *self.discriminator]:
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, 0.0, 0.02)
            elif isinstance(layer, nn.BatchNorm2d):
                nn.init.normal_(layer.weight, 1.0, 0.02)
        self.optimizers = [
            torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999))
            for network in (self.generator, self.discriminator)
        ]
        self.entropy = nn.BCEWithLogitsLoss()

    def step(self, images):
        """Return the losses of the discriminator and of the generator, for images (n, 1, 28, 28)."""
        real_images = nn.functional.pad(images, (2, 2, 2, 2), value=-1.0)
        ones, zeros = torch.ones(len(images), 1), torch.zeros(len(images), 1)
        generator_optimizer, discriminator_optimizer = self.optimizers
        generator_optimizer.zero_grad()
        fake_images = self.generator(torch.randn(len(images), self.latent_dim))
        generator_loss = self.entropy(self.discriminator(fake_images), ones)
        generator_loss.backward()
        generator_optimizer.step()
        discriminator_optimizer.zero_grad()
        real_loss = self.entropy(self.discriminator(real_images), ones)
        fake_loss = self.entropy(self.discriminator(fake_images.detach()), zeros)
        loss = (real_loss + fake_loss) / 2
        loss.backward()
        discriminator_optimizer.step()
        return loss.item(), generator_loss.item()

    @torch.no_grad()
    def generate(self, n):
        """Return n images, uint8 (n, 28, 28, 1), always of the same latents."""
        self.generator.eval()
        parts = torch.randn(n, self.latent_dim, generator=torch.Generator().manual_seed(n)).split(500)
        images = torch.cat([self.generator(part)[:, :, 2:-2, 2:-2] for part in parts])
        self.generator.train()
        return ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()


class Batches:
    """Endless batches of float images (n, 1, height, width) in [-1, 1], in another order at each pass."""

    def __init__(self, path, batch_size, memory_format=torch.contiguous_format):
        images = np.load(path, allow_pickle=False).astype("float32") / 127.5 - 1.0
        self.images = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=memory_format)
        self.batch_size = batch_size
        self.order = iter(())

    def __next__(self):
        rows = next(self.order, None)
        if rows is None or len(rows) < self.batch_size:
            self.order = iter(torch.randperm(len(self.images)).split(self.batch_size))
            rows = next(self.order)
        return self.images[rows]


_state = {}


def build(architecture, images, compiled):
    """Make the loop of PyTorch's example; returns the numbers of weights of both networks."""
    torch.set_num_threads(common.cores())
    _state["loop"] = loop = TwoPassLoop(architecture, compiled)
    _state["batches"] = Batches(images, common.BATCH_SIZES[architecture], torch.channels_last)
    return loop.weights


def measure(seconds, warm_up=3):
    """Return [steps, seconds] of training."""
    clock = common.Clock(seconds, warm_up)
    while True:
        _state["loop"].step(next(_state["batches"]))
        if not clock.tick():
            return [clock.steps, clock.elapsed]


def build_recipe(images, seed):
    """Make the published recipe again."""
    torch.set_num_threads(common.cores())
    _state["recipe"] = recipe = PublishedDcgan(seed)
    _state["batches"] = Batches(images, recipe.batch_size)


def train_recipe(seconds):
    """Train it for some seconds, at least one step, and return the number of steps."""
    steps, end = 0, time.perf_counter() + seconds
    while not steps or time.perf_counter() < end:
        _state["recipe"].step(next(_state["batches"]))
        steps += 1
    return steps


def generate(n, path):
    """Write n images, uint8 (n, 28, 28, 1), into a file of NumPy."""
    np.save(path, _state["recipe"].generate(n))


if __name__ == "__main__":
    common.serve({f.__name__: f for f in (build, measure, build_recipe, train_recipe, generate)})
