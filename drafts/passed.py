import sys; sys.argv=["x"]; from chain import *
R28=clf(A).features
def fr(ref,x): return round(metrics.frechet_distance(clf(np.asarray(ref).clip(-1,1)).features, clf(np.asarray(x).clip(-1,1)).features),2)
up=lambda x: np.asarray(double(x))
for l14,l28 in (("lvl-14-r1=0.25","lvl-28"),("lvl-14-r1=0.25-noise=0.3","lvl-28-noise=0.3"),("lvl-14-r1=0.25-exact=0-noise=0.3","lvl-28-exact=0-noise=0.3")):
    g7=base("base-dense256-r1=0.06"); a=level(l14,H(H(B)),2); g=level(l14,g7,2)
    print(l14,l28)
    for n,x14 in (("real 14",H(B)),("from real 7",a),("generated",g)):
        print("  ",n,"coarse itself (14 doubled vs real doubled)",fr(up(H(A)),up(x14)),"after level 28",fr(A,level(l28,x14,3)),flush=True)
