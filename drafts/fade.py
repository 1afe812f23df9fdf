import os, sys, time
os.environ.update(TF_NUM_INTRAOP_THREADS="1", TF_NUM_INTEROP_THREADS="1", TF_CPP_MIN_LOG_LEVEL="3")
import numpy as np, keras, tensorflow as tf
from ganutils import data, faces, layers, losses, metrics, training, models, health, callbacks
from ganutils.models import progressive
images=faces.load(6000,16,seed=1).images
test=data.as_float(images[4000:]).reshape(2000,-1).astype("float64"); images=images[:4000]
lat=np.random.default_rng(0).standard_normal((2000,64)).astype("float32")
def dist(gan):
    fake=gan.predict(lat,batch_size=500,verbose=0).reshape(2000,-1).astype("float64")
    return metrics.frechet_distance(test,fake)
out=[]
for rate in (1e-2,):
  for fading in (.5,1e-6):
    keras.utils.set_random_seed(int(os.environ.get("S",0)))
    gan=progressive.ProgressiveGAN(models.progressive_generator((8,16),(64,64)),models.progressive_discriminator((8,16),(64,64)),steps=(600,600),fading=fading,average=.99,penalty=losses.R1(1.,every=8),seed=0)
    gan.compile(*(keras.optimizers.Adam(rate,beta_1=0.,beta_2=.99) for _ in range(2)))
    t=time.time()
    s=callbacks.Samples(lat[:12],epochs=[.5,1,1+1/60,1+5/60,1.25,1.5,2],measure=dist)
    c=callbacks.Curves(every=50)
    gan.fit(data.pipeline(images,batch_size=32,seed=0).repeat(),epochs=2,steps_per_epoch=600,verbose=0,callbacks=[s,c])
    print(rate,fading,round(time.time()-t),"s",[(round(a*600),round(m,1)) for a,m in zip(s.epochs,s.measured)],np.round(c.history["discriminator_loss"][8:],2),flush=True)
    out.append(s.images)
np.save("fade.npy",np.array(out))
