import pytest

from ganutils import profiles


def test_environment_overrides_the_notebook(monkeypatch):
    monkeypatch.setenv("GANUTILS_PROFILE", "smoke")
    assert profiles.load("laptop", "02_dcgan").name == "smoke"
    monkeypatch.setenv("GANUTILS_PROFILE", "")
    assert profiles.load("laptop", "02_dcgan").name == "laptop"


def test_profiles_grow_in_work(monkeypatch):
    monkeypatch.delenv("GANUTILS_PROFILE", raising=False)
    for lesson in ("01_vanilla_gan", "02_dcgan"):
        smoke, laptop, gpu = (profiles.load(name, lesson).steps for name in profiles.NAMES)
        assert smoke < laptop < gpu


def test_every_lesson_has_every_profile(monkeypatch):
    monkeypatch.delenv("GANUTILS_PROFILE", raising=False)
    for lesson in profiles.LESSONS:
        for name in profiles.NAMES:
            assert profiles.load(name, lesson).steps >= 1


def test_unknown_names_list_what_is_allowed(monkeypatch):
    monkeypatch.delenv("GANUTILS_PROFILE", raising=False)
    with pytest.raises(ValueError, match="unknown profile 'huge'; choose one of smoke, laptop, gpu"):
        profiles.load("huge", "02_dcgan")
    with pytest.raises(ValueError, match="unknown lesson '99_none'; choose one of 00_start_here"):
        profiles.load("laptop", "99_none")
    with pytest.raises(ValueError, match="unknown width; a profile has batch_size"):
        profiles.load("laptop", "02_dcgan", width=3)
    monkeypatch.setenv("GANUTILS_PROFILE", "tiny")
    with pytest.raises(ValueError, match="GANUTILS_PROFILE"):
        profiles.load("laptop", "02_dcgan")


@pytest.mark.parametrize(
    "changes",
    [{"epochs": 0}, {"images": -1}, {"batch_size": 1.5}, {"samples": True}, {"demo_steps": 0}, {"demo_seconds": 0}],
)
def test_numbers_that_are_not_positive_are_refused(changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        profiles.load("laptop", "02_dcgan", **changes)


def test_unknown_precision_is_refused():
    with pytest.raises(ValueError, match="mixed_bfloat16"):
        profiles.load("laptop", "02_dcgan", precision="float8")


def test_steps_drop_the_incomplete_batch():
    profile = profiles.Profile(name="laptop", images=130, epochs=3, batch_size=64)
    assert profile.steps_per_epoch == 2
    assert profile.steps == 6
