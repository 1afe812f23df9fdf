"""run06.py NAME SECONDS: experiments with lap.py; results appended to r06.json"""
import sys, json, time; sys.path.insert(0, "drafts")
from lap import *
what, seconds, seed = sys.argv[1], float(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0
keras.utils.set_random_seed(seed)
from pathlib import Path
W = Path("build/lapgan"); W.mkdir(parents=True, exist_ok=True)
def draw(gan, n, cond=None, s=1):
    z = np.random.default_rng(s).standard_normal((n, 32)).astype("float32")
    return np.asarray(gan.predict(z if cond is None else [z, cond], batch_size=250, verbose=0))
if what.startswith("base"):
    kind = what.split("-")[1]
    x7 = small(IM, 2)
    gan = training.GAN(*base_networks(kind), average=0.995, penalty=losses.R1(1.0, every=8), seed=seed)
    steps = train(gan, x7, seconds, seed=seed)
    t7 = small(TEST, 2)
    print(what, seconds, "steps", steps, "pixel FD", round(flat_fid(t7[:5000], draw(gan, 5000)), 3), "floor", round(flat_fid(t7[:5000], t7[5000:]), 3), flush=True)
    gan.averaged_generator.save_weights(W / f"{what}-{seed}.weights.h5")
else:
    side = int(what.split("-")[1])
    opts = dict(kv.split("=") for kv in what.split("-")[2:])
    Level.exact = opts.get("exact", "1") == "1"; Level.noise = float(opts.get("noise", 0))
    x = small(IM, 1) if side == 14 else data.as_float(IM)
    gan = Level(*level_networks(side, int(opts.get("w", 48)), depth=int(opts.get("d", 2)), planes=int(opts.get("p", 8))), average=0.99, penalty=losses.R1(float(opts.get("r1", 1.0)), every=8), seed=seed)
    steps = train(gan, x, seconds, seed=seed)
    t = small(TEST, 1) if side == 14 else data.as_float(TEST); c = np.asarray(halve(t))
    d = draw(gan, 5000, c[:5000])
    line = [what, seconds, "steps", steps, "pixel FD given real", round(flat_fid(t[5000:], d), 3), "floor", round(flat_fid(t[5000:], t[:5000]), 3)]
    if side == 28: line += ["FID given real 14", round(fid(d.clip(-1, 1)), 2)]
    print(*line, flush=True)
    gan.averaged_generator.save_weights(W / f"{what}-{seed}.weights.h5")
