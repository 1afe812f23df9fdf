"""The lessons' sentences about their runs, and the command that checks them over seeds."""

import json
import re

import pytest

from .test_tools import ROOT, load_tool

TOOL = load_tool("check_claims")
CLAIMS = TOOL.claims()
RECORDED = json.loads(TOOL.RECORD.read_text(encoding="utf-8")) if TOOL.RECORD.is_file() else {}


def prose(name):
    """Return a lesson's text without the marks of Markdown, in one line."""
    cells = json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    return " ".join(re.sub(r"[*_>`$]", "", "".join(cell["source"])) for cell in cells).replace("\n", " ")


@pytest.mark.parametrize("name", CLAIMS)
def test_each_claim_stands_in_its_lesson(name):
    text = " ".join(prose(name).split())
    gone = [claim["sentence"] for claim in CLAIMS[name] if " ".join(claim["sentence"].split()) not in text]
    assert not gone, f"no longer in {name}: {gone}"


@pytest.mark.parametrize("name", RECORDED)
def test_each_claim_holds_for_every_recorded_seed(name):
    runs = RECORDED[name]
    assert len(runs) >= 3, "run tools/check_claims.py with three seeds"
    for claim in CLAIMS[name]:
        for seed, found in runs.items():
            assert TOOL.holds(claim, found), f"seed {seed}: {claim['sentence']} ({TOOL.numbers(claim, found)})"


def test_a_table_says_what_does_not_hold(tmp_path, monkeypatch):
    claims = tmp_path / "claims"
    claims.mkdir()
    (claims / "98_toy.toml").write_text(
        '[[claims]]\nsentence = "It falls."\nholds = "last < first"\n'
        '[[claims]]\nsentence = "It is small."\nholds = "abs(last) < 0.5"\n'
    )
    monkeypatch.setattr(TOOL, "RECORD", tmp_path / "claims.json")
    monkeypatch.setattr(TOOL, "TABLE", tmp_path / "claims.md")
    found = TOOL.claims(claims)
    monkeypatch.setattr(TOOL, "claims", lambda: found)
    runs = {"98_toy": {"0": {"first": 2.0, "last": 1.0}, "1": {"first": 2.0, "last": 0.25}}}
    assert TOOL.report(runs) == ["98_toy: It is small."]
    table = (tmp_path / "claims.md").read_text()
    assert "| It falls. | `last < first` | 1, 2; 0.25, 2 | yes |" in table
    assert "| It is small. | `abs(last) < 0.5` | 1; 0.25 | **no**, 1 of 2 |" in table
    assert json.loads((tmp_path / "claims.json").read_text()) == runs
    with pytest.raises(NameError, match="first"):
        TOOL.holds(found["98_toy"][0], {"last": 1.0})
