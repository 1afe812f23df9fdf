"""Experiment: LAPGAN on digits. usage: run_lapgan.py NAME SECONDS [SEED]"""
import os, sys, time, json
os.environ.update(TF_NUM_INTRAOP_THREADS="1", TF_NUM_INTEROP_THREADS="1", TF_CPP_MIN_LOG_LEVEL="3")
import keras, numpy as np, tensorflow as tf
from keras import layers as kl, ops
from ganutils import data, training, losses, callbacks, metrics, features
IM, LAB = data.load_dataset("mnist"); TEST = data.load_dataset("mnist", split="test").images
clf = features.digit_classifier()

def halve(x): return ops.average_pool(x, 2)
def double(x): return ops.image.resize(x, (2*x.shape[1], 2*x.shape[2]), interpolation="bilinear")
def nearest(x): return ops.repeat(ops.repeat(x, 2, axis=1), 2, axis=2)
def with_detail(coarse, detail):
    p = double(coarse) + detail
    return p + nearest(coarse - halve(p))

class Level(training.GAN):
    noise = 0.0; exact = True; conditional = False
    def losses(self, images):
        coarse = halve(images)
        return super().losses((images, coarse))
    def generate(self, latents, condition=None):
        seen = condition
        if self.noise: seen = condition + self.noise * self.draw(lambda n: keras.random.normal((n, *condition.shape[1:]), seed=self.seed_generator), ops.shape(condition)[0])
        d = self.run("generator", [latents, seen])
        return with_detail(condition, d) if self.exact else double(condition) + d
    def call(self, inputs, training=False):
        return self.generate(*map(ops.convert_to_tensor, inputs))
    def check_inputs(self, inputs): pass
    def check_condition(self, condition): pass

def bn(x, act=True):
    return kl.LeakyReLU(0.2)(kl.BatchNormalization(momentum=0.9)(x))

def base_networks(kind, z=32):
    lat = keras.Input((z,)); x = lat
    if kind.startswith("dense"):
        w = int(kind[5:] or 256)
        for u in (w, w): x = bn(kl.Dense(u, use_bias=False)(x))
        img = kl.Reshape((7, 7, 1))(kl.Dense(49, activation="tanh")(x))
        im = keras.Input((7, 7, 1)); y = kl.Flatten()(im)
        for u in (w, w): y = kl.LeakyReLU(0.2)(kl.Dense(u)(y))
        return keras.Model(lat, img), keras.Model(im, kl.Dense(1)(y))
    for u in (256, 49*32): x = bn(kl.Dense(u, use_bias=False)(x))
    x = kl.Reshape((7, 7, 32))(x); x = bn(kl.Conv2D(32, 3, padding="same", use_bias=False)(x))
    img = kl.Conv2D(1, 3, padding="same", activation="tanh")(x)
    im = keras.Input((7, 7, 1)); y = im
    for c in (32, 64): y = kl.LeakyReLU(0.2)(kl.Conv2D(c, 3, padding="same")(y))
    y = kl.LeakyReLU(0.2)(kl.Dense(256)(kl.Flatten()(y)))
    return keras.Model(lat, img), keras.Model(im, kl.Dense(1)(y))

def level_networks(side, width=48, z=32, depth=2, planes=8):
    """from coarse side//2 to detail at side"""
    h = side // 2
    lat, co = keras.Input((z,)), keras.Input((h, h, 1))
    n = kl.Reshape((h, h, planes))(kl.Dense(h*h*planes)(lat)) if planes else None
    x = kl.Concatenate()([co, n]) if planes else co
    for _ in range(depth): x = bn(kl.Conv2D(width, 3, padding="same", use_bias=False)(x))
    d = kl.Conv2DTranspose(1, 4, 2, padding="same")(x)
    im = keras.Input((side, side, 1)); y = im
    for c in ((32, 64) if side > 14 else (32, 64)): y = kl.LeakyReLU(0.2)(kl.Conv2D(c, 4, 2, padding="same")(y))
    y = kl.LeakyReLU(0.2)(kl.Dense(256)(kl.Flatten()(y)))
    return keras.Model([lat, co], d), keras.Model(im, kl.Dense(1)(y))

def train(gan, images, seconds, rates=(2e-3, 1e-3), seed=0):
    gan.compile(*(keras.optimizers.Adam(r, beta_1=0.0, beta_2=0.99) for r in rates), steps_per_execution=10)
    clock = callbacks.TimeLimit(seconds, time.process_time)
    gan.fit(data.pipeline(images, batch_size=64, seed=seed), steps_per_epoch=10**6, verbose=0, callbacks=[clock])
    return clock.steps

def fid(x, real=TEST, n=5000):
    f = lambda im: clf(im).features
    return metrics.frechet_distance(f(real[:n]), f(x))
def flat_fid(a, b):
    g = lambda x: np.asarray(x).reshape(len(x), -1)
    return metrics.frechet_distance(g(a), g(b))
def small(x, k):
    x = data.as_float(x)
    for _ in range(k): x = np.asarray(halve(x))
    return x
