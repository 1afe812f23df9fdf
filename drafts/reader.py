import sys, os, time
os.environ.update(TF_NUM_INTRAOP_THREADS="1", TF_NUM_INTEROP_THREADS="1", TF_CPP_MIN_LOG_LEVEL="3")
import numpy as np, keras, tensorflow as tf
from keras import layers as kl, ops
from ganutils import faces
size, seconds, noise = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
wide = sys.argv[4] if len(sys.argv) > 4 else "a"
n = 40000 if size == 32 else 24000
path = f"build/faces{size}.npz"
if not os.path.exists(path):
    a = faces.load(n, size, seed=1); b = faces.load(4000, size, seed=2, split="test")
    np.savez(path, x=a.images, y=a.attributes, tx=b.images, ty=b.attributes)
d = np.load(path); x, y, tx, ty = d["x"], d["y"], d["tx"], d["ty"]
keras.utils.set_random_seed(0)
counts = [len(v) for v in faces.VALUES.values()]
def network(size):
    i = keras.Input((size, size, 3)); h = i
    spec = {"a": [(32,1),(32,2),(64,1),(64,2),(96,2)], "b": [(24,1),(32,2),(48,1),(64,2),(96,2)]}[wide]
    if size == 64: spec = [(24,2)] + spec[1:] if wide=="b" else [(24,1),(32,2)] + spec[1:]
    for f, s in spec:
        h = kl.Conv2D(f, 3, s, padding="same", use_bias=False)(h); h = kl.BatchNormalization(momentum=0.9)(h); h = kl.ReLU()(h)
    h = kl.Dropout(0.2)(kl.Flatten()(h))
    f = kl.LeakyReLU(0.2)(kl.Dense(128)(h))
    return keras.Model(i, [f, kl.Dense(sum(counts))(f)])
net = network(size); print(net.count_params())
opt = keras.optimizers.Adam(2e-3, beta_2=0.99)
rate = tf.Variable(2e-3)
@tf.function
def step(xb, yb):
    xb = tf.cast(xb, "float32") / 127.5 - 1
    s = noise / 127.5 * tf.random.uniform((tf.shape(xb)[0], 1, 1, 1))
    xb = xb + s * tf.random.normal(tf.shape(xb))
    with tf.GradientTape() as t:
        _, lo = net(xb, training=True)
        loss = tf.add_n([tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(yb[:, j], p)) for j, p in enumerate(tf.split(lo, counts, 1))])
    opt.apply_gradients(zip(t.gradient(loss, net.trainable_weights), net.trainable_weights))
    return loss
def test(im=tx, lab=ty):
    los = np.concatenate([net(tf.cast(im[i:i+250], "float32")/127.5-1, training=False)[1].numpy() for i in range(0, len(im), 250)])
    out, sure = {}, {}
    c = 0
    for j, (k, m) in enumerate(zip(faces.ATTRIBUTES, counts)):
        p = los[:, c:c+m].astype(float); c += m
        p = np.exp(p - p.max(1, keepdims=True)); p /= p.sum(1, keepdims=True)
        out[k] = float((p.argmax(1) == lab[:, j]).mean()); sure[k] = p.max(1) > .9
    return out, sure
rng = np.random.default_rng(0); began = time.process_time(); k = 0; B = 128; done=False; nxt=seconds/4
while not done:
    perm = rng.permutation(len(x))
    for i in range(0, len(x)-B+1, B):
        used = time.process_time()-began
        opt.learning_rate.assign(2e-3 * 0.5*(1+np.cos(np.pi*min(1, used/seconds))))
        loss = step(x[perm[i:i+B]], y[perm[i:i+B]]); k += 1
        if used > nxt or used > seconds:
            nxt += seconds/4
            o, s = test(); allr=[a for a in s]
            print(k, round(used), float(loss), {a: round(v, 3) for a, v in o.items()}, "sure all", np.mean(np.all([s[a] for a in allr], 0)).round(3), "sure 7", np.mean(np.all([s[a] for a in allr if a not in("mouth","beard","eyebrows")], 0)).round(3), flush=True)
            if used > seconds: done=True; break
net.save_weights(f"build/r{size}_{wide}_{noise:g}.weights.h5")
