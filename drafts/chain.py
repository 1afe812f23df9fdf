"""chain.py: table of FIDs for chains of saved networks"""
import sys; sys.path.insert(0,"drafts")
from lap import *
from pathlib import Path
W=Path("build/lapgan")
z=lambda s,n=5000: np.random.default_rng(s).standard_normal((n,32)).astype("float32")
T=data.as_float(TEST); perm=np.random.default_rng(0).permutation(10000); A,B=T[perm[:5000]],T[perm[5000:]]
lab=data.load_dataset("mnist",split="test").labels[perm[5000:]]
def base(name):
    g=base_networks(name.split("-")[1])[0]; g.load_weights(W/f"{name}-0.weights.h5"); return np.asarray(g.predict(z(1),batch_size=500,verbose=0))
def level(name, coarse, seed):
    side=int(name.split("-")[1]); opts=dict(kv.split("=") for kv in name.split("-")[2:])
    g=level_networks(side,int(opts.get("w",48)),depth=int(opts.get("d",2)),planes=int(opts.get("p",8)))[0]; g.load_weights(W/f"{name}-0.weights.h5")
    seen=coarse
    d=np.asarray(g.predict([z(seed),seen],batch_size=500,verbose=0))
    return np.asarray(with_detail(coarse,d)) if opts.get("exact","1")=="1" else np.asarray(double(coarse))+d
def F(x): return fid(x.clip(-1,1),A)
def kept(x): return (clf(x.clip(-1,1)).probabilities.argmax(1)==lab).mean()
H=lambda x: np.asarray(halve(x))
if __name__=="__main__":
    b,l14,l28=sys.argv[1:4]
    print(b,l14,l28,"floor",round(F(B),2))
    x28=level(l28,H(B),3); print(" given real 14:",round(F(x28),2),"kept",kept(x28))
    x14=level(l14,H(H(B)),2); x28=level(l28,x14,3); print(" given real 7:",round(F(x28),2),"kept",kept(x28), "14px pixel FD",round(flat_fid(H(A),x14),3))
    g7=base(b); g14=level(l14,g7,2); x=level(l28,g14,3); print(" generated:",round(F(x),2), "pixel FD 7",round(flat_fid(H(H(A)),g7),3),"14",round(flat_fid(H(A),g14),3),"classes",np.bincount(clf(x.clip(-1,1)).probabilities.argmax(1),minlength=10).tolist(),flush=True)
