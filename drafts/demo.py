import os, sys, time
os.environ.update(TF_NUM_INTRAOP_THREADS="1", TF_NUM_INTEROP_THREADS="1", TF_CPP_MIN_LOG_LEVEL="3")
import numpy as np, keras, tensorflow as tf
from keras import layers as kl, ops
from ganutils import data, faces, layers, losses, metrics, training, models, health
faces16 = data.as_float(faces.load(6000,16,seed=1).images)
small = np.asarray(models.halve(faces16)); test=small[4000:]; small=small[:4000]
def he(layer, gain=2**.5):
    layer.kernel_initializer = keras.initializers.HeNormal() if gain>1 else keras.initializers.LecunNormal(); return layer
def nets(wrap=layers.EqualizedLearningRate, norm=layers.PixelNorm, deviation=True, z=64):
    lat=keras.Input((z,)); x=layers.PixelNorm()(lat)
    x=kl.Reshape((4,4,64))(wrap(kl.Dense(1024))(x)); x=kl.LeakyReLU(.2)(x)
    x=norm()(x) if norm else x
    feats=x
    g=keras.Model(lat,wrap(kl.Conv2DTranspose(3,4,2,padding="same"),1.0)(x)); 
    im=keras.Input((8,8,3)); y=kl.LeakyReLU(.2)(wrap(kl.Conv2D(64,4,2,padding="same"))(im))
    y=layers.MinibatchDeviation()(y) if deviation else y
    y=kl.LeakyReLU(.2)(wrap(kl.Dense(256))(kl.Flatten()(y)))
    return g, keras.Model(im,wrap(kl.Dense(1),1.0)(y)), keras.Model(lat,feats)
def run(name, steps=600, rate=2e-3, drate=None, r1=1/64, loss="non_saturating", beta=0.0, **o):
    keras.utils.set_random_seed(int(os.environ.get("S",0))); g,d,f=nets(**o)
    gan=training.GAN(g,d,penalty=losses.R1(r1,every=8) if r1 else None,average=.99,seed=0)
    gan.compile(keras.optimizers.Adam(rate,beta_1=beta,beta_2=.99),keras.optimizers.Adam(drate or rate,beta_1=beta,beta_2=.99),loss=loss,steps_per_execution=10)
    lat=np.random.default_rng(0).standard_normal((2000,64)).astype("float32"); b=data.pipeline(small,batch_size=64,seed=0).repeat()
    t=time.time(); row=[]
    for k in range(4):
        gan.fit(b,steps_per_epoch=steps//4,verbose=0)
        fake=gan.predict(lat,batch_size=500,verbose=0).reshape(2000,-1)
        fs=f.predict(lat,batch_size=500,verbose=0)
        fd=metrics.frechet_distance(test.reshape(2000,-1).astype("float64"),fake.astype("float64"))
        row.append((round(float(fd),2), round(float((fs**2).mean()),2), round(float(np.abs(g.predict(lat[:200],verbose=0)).max()),1)))
    print(name,round(time.time()-t),"s",row,flush=True)
    return gan
if __name__=="__main__":
    print("floor",metrics.frechet_distance(test.reshape(2000,-1).astype("float64"),small[:2000].reshape(2000,-1).astype("float64")))
    for rate in (2e-3,1e-2):
        run(f"equalised {rate}",rate=rate)
        run(f"he {rate}",rate=rate,wrap=he)
        run(f"equalised no pn {rate}",rate=rate,norm=None)
        run(f"he no pn {rate}",rate=rate,wrap=he,norm=None)
    run("equalised no pn no r1",norm=None,r1=0); run("equalised no r1",r1=0)
    run("equalised no pn no r1 momentum",norm=None,r1=0,beta=.5); run("equalised no r1 momentum",r1=0,beta=.5)
    run("no dev",deviation=False)
