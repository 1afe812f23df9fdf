"""Agreement with other people's implementations on the same features: `pip install -e '.[reference]'`."""

import numpy as np
import pytest

from ganutils import metrics


@pytest.fixture
def sets(rng):
    """Real and generated features, in float32 as networks give them: 400 and 300 of 24."""
    mixing = rng.standard_normal((24, 24)) / 5
    real = rng.standard_normal((400, 24)) @ mixing
    return real.astype("float32"), (1.2 * rng.standard_normal((300, 24)) @ mixing + 0.2).astype("float32")


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.fixture
def feature_network(torch):
    """A torch module that hands features through, for torchmetrics, which wants images and a network."""

    class Identity(torch.nn.Module):
        num_features = 24

        def forward(self, values):
            return values

    return Identity()


def fed(metric, torch, real, fake):
    metric.update(torch.as_tensor(real), real=True)
    metric.update(torch.as_tensor(fake), real=False)
    return metric.compute()


@pytest.mark.parametrize("k", [1, 3, 5])
def test_precision_recall_density_coverage(sets, k):
    prdc = pytest.importorskip("prdc")
    real, fake = (values.astype("float64") for values in sets)
    expected = prdc.compute_prdc(real, fake, nearest_k=k)
    found = metrics.precision_recall(real, fake, k)._asdict() | metrics.density_coverage(real, fake, k)._asdict()
    assert found == pytest.approx(expected)


def test_vendi_score(sets):
    vendi = pytest.importorskip("vendi_score.vendi")
    for samples in (sets[0], sets[1][:10]):
        unit = samples / np.linalg.norm(samples, axis=1, keepdims=True)
        assert metrics.vendi_score(samples) == pytest.approx(vendi.score_X(unit.astype("float64")), rel=1e-6)


def test_frechet_distance(sets, torch, feature_network):
    image = pytest.importorskip("torchmetrics.image.fid")
    metric = image.FrechetInceptionDistance(feature=feature_network, input_img_size=(1, 2, 2), normalize=False)
    expected = float(fed(metric.set_dtype(torch.float64), torch, *sets))
    assert metrics.frechet_distance(*sets) == pytest.approx(expected, rel=1e-4)


def test_kernel_distance(sets, torch, feature_network):
    image = pytest.importorskip("torchmetrics.image.kid")
    # One subset of all rows: both packages draw their subsets in their own way.
    real, fake = (values[:300] for values in sets)
    metric = image.KernelInceptionDistance(feature=feature_network, subsets=1, subset_size=300)
    mean, _ = fed(metric, torch, real, fake)
    assert metrics.kernel_distance(real, fake, 1, 300).mean == pytest.approx(float(mean), rel=1e-3)


def test_inception_score(rng, torch, feature_network):
    image = pytest.importorskip("torchmetrics.image.inception")
    logits = rng.standard_normal((400, 24)) * 3
    metric = image.InceptionScore(feature=feature_network, splits=1)
    metric.update(torch.as_tensor(logits))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert metrics.inception_score(probabilities).mean == pytest.approx(float(metric.compute()[0]), rel=1e-5)


def test_similarity(rng, torch):
    image = pytest.importorskip("torchmetrics.functional.image")
    first = rng.integers(0, 256, (1, 176, 176, 1), "uint8")
    second = np.clip(first + rng.normal(0, 60, first.shape), 0, 255).astype("uint8")
    found = metrics.pairwise_similarity(np.concatenate([first, second]), 1, filter_size=11).overall
    tensors = [torch.as_tensor(values.transpose(0, 3, 1, 2) / 255) for values in (first, second)]
    expected = image.multiscale_structural_similarity_index_measure(*tensors, kernel_size=11, data_range=1.0)
    # torchmetrics reflects the images at their rims; TensorFlow, as Wang et al. 2003, keeps to whole windows.
    assert found == pytest.approx(float(expected), rel=1e-2)
