"""pg.py TOP SECONDS key=value: growing to TOP px; once=1 trains the final network at once"""
import os, sys, time
os.environ.update(TF_NUM_INTRAOP_THREADS="1", TF_NUM_INTEROP_THREADS="1", TF_CPP_MIN_LOG_LEVEL="3")
import numpy as np, keras, tensorflow as tf
from ganutils import faces, features, losses, data, metrics
from ganutils.models import progressive as P
top, seconds = int(sys.argv[1]), float(sys.argv[2]); o=dict(a.split("=") for a in sys.argv[3:])
d=np.load(f"build/faces{top}.npz") if top==32 else None
if d is None:
    path="build/faces64.npz"
    if not os.path.exists(path):
        a=faces.load(24000,64,seed=1); b=faces.load(4000,64,seed=2,split="test"); np.savez(path,x=a.images,y=a.attributes,tx=b.images,ty=b.attributes)
    d=np.load(path)
x,tx=d["x"],d["tx"]
reader=features.face_reader(top); F=reader(tx[:2000]).features
def score(im,tag):
    f=reader(im); p=f.probabilities
    r={k:metrics.attribute_fidelity({a:p[a] for a in names}) for k,names in (("all",faces.ATTRIBUTES),("9",[a for a in faces.ATTRIBUTES if a!="mouth"]),("7",[a for a in faces.ATTRIBUTES if a not in("mouth","beard","eyebrows")]))}
    print(tag,"sure",{k:round(v.share,3) for k,v in r.items()},"missing",sum(map(len,r["9"].missing.values())),"FID",round(metrics.frechet_distance(F,f.features),1),flush=True)
seed=int(o.get("seed",0)); keras.utils.set_random_seed(seed)
lo=int(o.get("from",8)); sizes=[s for s in (8,16,32,64) if lo<=s<=top]; ch=[c for s,c in zip((8,16,32,64),(64,64,32,16)) if lo<=s<=top] if o.get("ch") is None else [int(c) for c in o["ch"].split(",")]
if o.get("plain"):   # no equalised rate: He initial weights, plain layers
    class Plain:
        def __new__(cls, layer, gain=2**.5, **k):
            layer.kernel_initializer=keras.initializers.HeNormal(); return layer
    P.EqualizedLearningRate=Plain
if o.get("nopn")=="id": P.PixelNorm=lambda : (lambda x: x)
elif o.get("nopn"):
    P.PixelNorm=lambda : (lambda x: keras.layers.BatchNormalization(momentum=.9)(x))
share=[float(v) for v in o.get("share","1,2,3,6").split(",")][:len(sizes)]
gan_seconds=np.array(share)/sum(share)*seconds
lr=float(o.get("lr",2e-3)); z=int(o.get("z",64))
mk=lambda: P.ProgressiveGAN(P.progressive_generator(sizes,ch,latent_dim=z),P.progressive_discriminator(sizes,ch),steps=[10**6]*len(sizes),average=float(o.get("a",.99)),penalty=losses.R1(float(o.get("r1",1)),every=8),seed=seed)
gan=mk(); gan.compile(keras.optimizers.Adam(lr,beta_1=0.,beta_2=.99),keras.optimizers.Adam(lr*float(o.get("dlr",1)),beta_1=0.,beta_2=.99))
it=iter(data.pipeline(x,batch_size=int(o.get('b',64)),seed=seed).repeat())
lz=np.random.default_rng(5).standard_normal((2000,z)).astype("float32")
rate={}
steps_done=0
for i,size in enumerate(sizes):
    if o.get("once") and i<len(sizes)-1: continue
    # phase i: custom loop with python-level stage
    if i: gan._reset_optimizers(tf.constant(True))
    gan._at=i
    alpha=[n.get_layer("fade").alpha for n in [*gan.networks.values(),*gan.averaged.values()]]
    def one(batch):
        gan._step.players=tuple(gan.networks)
        try:
            found=super(P.ProgressiveGAN,gan).gradients(batch)
        finally: gan._step.players=()
        for player,(loss,gr) in found.items():
            net=gan.networks[player]; gr=[tf.zeros_like(w) if g is None else g for g,w in zip(gr,net.trainable_weights)]
            gan.take_step(gan.optimizers[player],gr,net.trainable_weights)
            dec=gan.averages.get(player)
            if dec:
                for m,w in zip(gan.averaged[player].weights,net.weights): m.assign(dec*m+(1-dec)*w)
    step=tf.function(one)
    budget=seconds if o.get("once") else gan_seconds[i]
    fade=0 if (i==0 or o.get("once")) else budget*float(o.get("fade",.5))
    step(next(it)); began=time.process_time(); s=0
    marks=[budget*.5,budget] if i==len(sizes)-1 else [budget]
    off=0
    for m in marks:
        while (used:=time.process_time()-began-off)<m:
            a=1. if not fade else min(1,used/fade)
            for v in alpha: v.assign(a)
            step(next(it)); s+=1
        t=time.process_time()
        if i==len(sizes)-1:
            f=tf.function(lambda q: gan.generate(q))
            im=np.concatenate([f(lz[k:k+250]).numpy() for k in range(0,2000,250)]).clip(-1,1)
            score(im,f"{' '.join(sys.argv[1:])} {size}px @{m:.0f} steps {s}")
            np.save(f"build/pg_{'_'.join(sys.argv[1:])}.npy".replace(",","-"),im[:100])
        off+=time.process_time()-t
    print("   ",size,"px",s,"steps",round(s/(time.process_time()-began-off),1),"steps/s",flush=True)
