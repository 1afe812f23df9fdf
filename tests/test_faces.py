import numpy as np
import pytest
from PIL import Image

from ganutils import data, faces


def test_the_same_seed_gives_the_same_faces_at_every_size():
    large = data.load_dataset("toon_faces", n=300, seed=3)
    again = data.load_dataset("toon_faces", n=300, seed=3, size=16)
    assert large.images.shape == (300, 64, 64, 3)
    assert large.images.dtype == np.uint8
    np.testing.assert_array_equal(large.attributes, again.attributes)
    np.testing.assert_array_equal(large.images, faces.load(300, seed=3).images)
    assert not (faces.load(300, seed=4).attributes == large.attributes).all(axis=1).any()
    means = large.images.reshape(300, 16, 4, 16, 4, 3).mean(axis=(2, 4))
    assert np.abs(means - again.images).max() <= 1.01, "each pixel is the mean of a square, but for rounding"


def test_smaller_faces_are_those_of_a_library():
    face = faces.load(1, seed=5).images[0]
    for size in (16, 32):
        expected = np.asarray(Image.fromarray(face).resize((size, size), Image.Resampling.BOX), "int")
        assert np.abs(faces.load(1, size=size, seed=5).images[0] - expected).max() <= 1


def test_a_face_is_its_layers_from_back_to_front():
    """Pixel by pixel in exact arithmetic, one face at a time."""
    chosen = faces.load(20, seed=1)
    with np.load(faces._FILE, allow_pickle=False) as arrays:
        for image, attributes in zip(chosen.images, chosen.attributes, strict=True):
            value = dict(zip(faces.ATTRIBUTES, attributes, strict=True))
            groups = {"hair": "hair colour", "skin": "skin", "clothes": "clothes colour"}
            canvas = np.full((64, 64, 3), 255.0)
            for part, group in zip(arrays["order"], arrays["colour_of"], strict=True):
                shape = 0 if part == "base" else value[part.replace("_", " ")]
                if shape < len(arrays[part]):
                    layer = arrays[part][shape, value[groups[group]] if group else 0].astype(float)
                    canvas = canvas * (1 - layer[..., 3:] / 255) + layer[..., :3]
            assert np.abs(canvas - image).max() < 0.51


def test_attributes_have_the_names_of_the_file():
    with np.load(faces._FILE, allow_pickle=False) as arrays:
        for part in ("rear_hair", "beard"):
            assert len(faces.VALUES[part.replace("_", " ")]) == len(arrays[part]) + 1, "the last one is none"
            assert arrays["optional"][list(arrays["order"]).index(part)]
        for part in ("clothes", "mouth", "eyes", "eyebrows", "hair"):
            assert len(faces.VALUES[part]) == len(arrays[part])
        for attribute, group in (("skin", "skin"), ("hair colour", "hair"), ("clothes colour", "clothes")):
            assert faces.VALUES[attribute] == tuple(arrays[f"colours_{group}"])
    assert faces.EXISTING == 18_750_000


def test_all_values_are_equally_likely_and_no_face_comes_twice():
    attributes = faces.choose(20_000)
    assert len(np.unique(attributes, axis=0)) == 20_000
    for values, attribute in zip(attributes.T, faces.ATTRIBUTES, strict=True):
        count = len(faces.VALUES[attribute])
        shares = np.bincount(values, minlength=count) / len(values)
        assert np.abs(shares - 1 / count).max() < 5 * np.sqrt(1 / count / len(values)), attribute


def test_no_face_is_in_both_parts_whatever_the_seeds():
    train, test = (
        {tuple(row) for seed in range(3) for row in faces.choose(20_000, seed, split)} for split in faces.SPLITS
    )
    assert len(train) > 59_000
    assert not train & test


def test_one_attribute_can_be_changed_alone():
    attributes = faces.load(50, seed=2).attributes
    changed = attributes.copy()
    changed[:, faces.ATTRIBUTES.index("mouth")] = (changed[:, faces.ATTRIBUTES.index("mouth")] + 1) % 5
    differs = (faces.compose(attributes) != faces.compose(changed)).any(axis=(0, 3))
    assert 0 < differs.sum() < 400, "a mouth is small"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 28}, "size=28 is not allowed; choose one of 16, 32, 64"),
        ({"n": 0}, "n=0"),
        ({"split": "valid"}, "unknown split 'valid'; choose one of train, test"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_what_does_not_exist_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        data.load_dataset("toon_faces", **{"n": 5, **options})


def test_attributes_that_do_not_exist_are_refused():
    attributes = faces.load(3).attributes
    with pytest.raises(ValueError, match=r"attributes are int64 \(3, 9\); give whole numbers \(n, 10\)"):
        faces.compose(attributes[:, 1:])
    with pytest.raises(ValueError, match="skin goes from 7 to 7; it has the values 0 to 4"):
        faces.compose(attributes * 0 + 7)
    with pytest.raises(ValueError, match="float64"):
        faces.compose(attributes / 1.0)
    with pytest.raises(ValueError, match="unknown size for 'mnist'"):
        data.load_dataset("mnist", size=32)
