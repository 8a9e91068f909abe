"""Data in a page is data; its scripts are those that the policy names, and nothing comes from elsewhere."""

import gzip
import json
import re
from base64 import b64decode, b64encode
from hashlib import sha256

import pytest
from page_runs import HOSTILE

from ood_lightning.errors import SettingsError
from ood_lightning.page import safe


def test_packed_data_is_letters_and_digits_and_comes_back_whole():
    content = {name: [name, {"n": 1.5, "none": None}] for name in (*HOSTILE, "\udcff", "日本\u2028")}
    text = safe.packed(content)
    assert re.fullmatch(r"[A-Za-z0-9+/=]+", text)
    assert json.loads(gzip.decompress(b64decode(text))) == content
    assert safe.packed(content) == text


def test_what_is_no_number_is_refused():
    with pytest.raises(ValueError, match="not JSON compliant"):
        safe.packed([float("nan")])


def test_no_script_of_the_page_ends_early_and_all_are_named_by_their_hash():
    inlined = safe.scripts()
    for script in inlined:
        assert "</script" not in script.lower()
        assert "<!--" not in script
        digest = b64encode(sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in safe.policy(inlined)
    assert "</style" not in safe.style().lower()


def test_the_policy_lets_nothing_in():
    policy = safe.policy(["alert(1)"])
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "http" not in policy
    assert "unsafe-inline' ;" not in policy
    assert "script-src 'unsafe" not in policy


def test_our_scripts_write_no_markup_and_ask_nobody():
    ours = safe.scripts()[1]
    for name in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "fetch(",
        "XMLHttp",
    ):
        assert name not in ours
    assert not re.findall(r"https?://", ours + safe.style())


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(safe, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match="pip install plotly"):
        safe.scripts()
