"""The networks of the lessons, as Keras functional models; one file per architecture.

Generators map latents (n, latent_dim) to images (n, height, width, channels) in [-1, 1]; those of `lapgan` and
`progressive` have no bounds, and their models clip. Discriminators map such images to logits (n, 1). The last layer of
each computes in float32, like losses and images, whatever the precision of the rest.
"""

# ruff: noqa: F401 - imported to be used as models.dcgan_generator and so on
from ganutils.models.conditional import LABEL_INPUTS, conditional_discriminator, conditional_generator
from ganutils.models.dcgan import dcgan_discriminator, dcgan_generator, fast_dcgan_discriminator, fast_dcgan_generator
from ganutils.models.lapgan import lapgan_generator
from ganutils.models.progressive import bounded_generator, progressive_discriminator, progressive_generator
from ganutils.models.sizes import double, halve, repeat_pixels, shrink
from ganutils.models.srgan import sr_generator
from ganutils.models.vanilla import IMAGE_SHAPE, vanilla_discriminator, vanilla_generator
