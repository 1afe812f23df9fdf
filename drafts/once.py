"""once.py SIZE SECONDS key=value...: faces at once"""
import os, sys, time
os.environ.update(TF_NUM_INTRAOP_THREADS="1", TF_NUM_INTEROP_THREADS="1", TF_CPP_MIN_LOG_LEVEL="3")
import numpy as np, keras, tensorflow as tf
from keras import layers as kl, ops
from ganutils import faces, features, training, losses, callbacks, data, models, layers, metrics
size, seconds = int(sys.argv[1]), float(sys.argv[2]); o=dict(a.split("=") for a in sys.argv[3:])
d=np.load(f"build/faces{size}.npz"); x, tx, ty = d["x"], d["tx"], d["ty"]
net=features.reader_network(size); net.load_weights(f"./data/checkpoints/face_reader_{size}.weights.h5"); reader=features.FaceReader(net)
F=reader(tx)
def score(im,tag):
    f=reader(im); p=f.probabilities
    r={k:metrics.attribute_fidelity({a:p[a] for a in names}) for k,names in (("all",faces.ATTRIBUTES),("9",[a for a in faces.ATTRIBUTES if a!="mouth"]),("7",[a for a in faces.ATTRIBUTES if a not in("mouth","beard","eyebrows")]))}
    print(tag,"sure",{k:round(v.share,3) for k,v in r.items()},"missing",r["all"].missing,"FID",round(metrics.frechet_distance(F.features[:2000],f.features[:2000]),2),flush=True)
if o.get("ref"): score(tx[2000:],"real")
seed=int(o.get("seed",0)); keras.utils.set_random_seed(seed)
z=int(o.get("z",32)); w=int(o.get("w",32)); bn=float(o.get("bn",.9))
n=size//8; k=int(np.log2(n))
ch=[w*2**i for i in reversed(range(k))]  # 8x8 features..., last before rgb = w
lat=keras.Input((z,)); h=lat
for u in [int(o.get("u",256))]*int(o.get("h",1))+[64*ch[0]]: h=kl.LeakyReLU(.2)(kl.BatchNormalization(momentum=bn)(kl.Dense(u,use_bias=False)(h)))
h=kl.Reshape((8,8,ch[0]))(h)
for c in ch[1:]: h=kl.LeakyReLU(.2)(kl.BatchNormalization(momentum=bn)(kl.Conv2DTranspose(c,4,2,padding="same",use_bias=False)(h)))
if int(o.get("extra",0)): h=kl.LeakyReLU(.2)(kl.BatchNormalization(momentum=bn)(kl.Conv2D(ch[-1],3,padding="same",use_bias=False)(h)))
full=int(o.get("full",0)); fw=int(o.get("fw",16))
if full:
    h=kl.LeakyReLU(.2)(kl.BatchNormalization(momentum=bn)(kl.Conv2DTranspose(fw,4,2,padding="same",use_bias=False)(h)))
    G=keras.Model(lat,kl.Conv2D(3,3,padding="same",activation="tanh")(h))
else: G=keras.Model(lat,kl.Conv2DTranspose(3,4,2,padding="same",activation="tanh")(h))
im=keras.Input((size,size,3)); y=im
if full==1: y=kl.LeakyReLU(.2)(kl.Conv2D(fw,3,padding="same")(y))
for c in ch[::-1]: y=kl.LeakyReLU(.2)(kl.Conv2D(c*int(o.get("dw",1)),4,2,padding="same")(y))
if int(o.get("sd",0)): y=layers.MinibatchDeviation()(y)
y=kl.LeakyReLU(.2)(kl.Dense(int(o.get("u",256)))(kl.Flatten()(y)))
D=keras.Model(im,kl.Dense(1)(y))
gan=training.GAN(G,D,average=float(o.get("a",.99)),penalty=losses.R1(float(o.get("r1",1)),every=8),seed=seed)
lr=float(o.get("lr",2e-3)); sch=(lambda r: keras.optimizers.schedules.CosineDecay(r,int(o["decay"]))) if o.get("decay") else (lambda r:r)
gan.compile(keras.optimizers.Adam(sch(lr),beta_1=0.,beta_2=.99),keras.optimizers.Adam(sch(lr*float(o.get("dlr",1))),beta_1=0.,beta_2=.99),loss=o.get("loss","non_saturating"))
b=data.pipeline(x,batch_size=int(o.get("b",64)),seed=seed).repeat(); it=iter(b); step=tf.function(gan.adversarial_step)
lz=np.random.default_rng(5).standard_normal((2000,z)).astype("float32")
marks=[m for m in (60,100,150,200,300,450,600,900,1200) if m<=seconds]; began=time.process_time(); off=0; s=0
for m in marks:
    while time.process_time()-began-off<m: step(next(it)); s+=1
    t=time.process_time(); im_=gan.predict(lz,batch_size=250,verbose=0); score(im_.clip(-1,1),f"{' '.join(sys.argv[1:])} @{m} steps {s}"); off+=time.process_time()-t
np.save(f"build/once_{'_'.join(sys.argv[1:])}.npy",im_[:100])
