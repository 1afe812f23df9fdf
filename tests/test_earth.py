import numpy as np
import pytest

from ganutils import data, earth


def places(pieces, name, mirrored=False):
    """Return where in the whole map each piece lies, (row, column), or None."""
    with np.load(earth._FILE, allow_pickle=False) as arrays:
        whole = arrays[name][:, ::-1] if mirrored else arrays[name]
    found = []
    for piece in pieces:
        corners = np.argwhere((whole[: -len(piece) + 1, : -len(piece) + 1] == piece[0, 0]).all(axis=2))
        same = [tuple(at) for at in corners if (whole[at[0] :, at[1] :][: len(piece), : len(piece)] == piece).all()]
        found.append(same[0] if same else None)
    return found


def test_pieces_are_cut_from_both_maps_at_the_same_place():
    maps = data.load_dataset("earth_maps", n=12, size=24, seed=1)
    assert maps.satellite.shape == maps.relief.shape == (12, 24, 24, 3)
    assert maps.satellite.dtype == np.uint8
    plain, turned = places(maps.satellite, "satellite"), places(maps.satellite, "satellite", mirrored=True)
    for i, (place, other) in enumerate(zip(plain, turned, strict=True)):
        assert place or other, "each is a part of the map, as it is or mirrored"
        relief = places(maps.relief[i : i + 1], "relief", mirrored=place is None)
        assert relief == [place or other]
    assert any(plain)
    assert not all(plain)


def test_test_pieces_lie_where_no_training_piece_does():
    with np.load(earth._FILE, allow_pickle=False) as arrays:
        land = arrays["land"]
    for split in earth.SPLITS:
        pieces = earth.load(30, size=32, seed=2, split=split).satellite
        plain, turned = places(pieces, "satellite"), places(pieces, "satellite", mirrored=True)
        for one, other in zip(plain, turned, strict=True):
            row, column = one or (other[0], land.shape[1] - 32 - other[1])
            assert land[row : row + 32, column : column + 32].mean() >= 0.9
            east, west = column * 360 / 2160 - 180, (column + 32) * 360 / 2160 - 180  # its two sides
            assert (east >= 0 and west <= 45) if split == "test" else (west <= 0 or east >= 45)


def test_the_same_seed_gives_the_same_pieces():
    one, same, other = (earth.load(20, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.satellite, same.satellite)
    assert (one.satellite != other.satellite).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "n=0"),
        ({"size": 200}, "size=200"),
        ({"split": "valid"}, "unknown split 'valid'; choose one of train, test"),
    ],
)
def test_what_does_not_exist_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        data.load_dataset("earth_maps", **options)
