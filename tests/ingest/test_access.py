"""API keys: what a file may say, and whose request it is."""

import hashlib
from pathlib import Path

import pytest

from support.fake_intake import FakeIntake
from tracescape_ingest.access import Access, KeysError, UnauthenticatedError, read_keys, store_of

KEY = "a-key-of-some-length"


def file_of(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "keys.toml"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_key_is_written_as_it_is_sent_or_as_its_hash(tmp_path: Path) -> None:
    hashed = hashlib.sha256(b"another").hexdigest()
    keys = read_keys(file_of(tmp_path, f'[tenants]\nshop = ["{KEY}"]\nbank = ["sha256:{hashed.upper()}"]'))
    access = Access({"shop": FakeIntake(), "bank": FakeIntake()}, keys)
    assert access.tenant_of({"authorization": f"Bearer {KEY}"}) == "shop"
    assert access.tenant_of({"authorization": f"bearer  {KEY} "}) == "shop"
    assert access.tenant_of({"x-api-key": KEY}) == "shop"
    assert access.tenant_of({"x-api-key": "another"}) == "bank"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": KEY},
        {"authorization": f"Basic {KEY}"},
        {"authorization": "Bearer "},
        {"x-api-key": ""},
        {"x-api-key": KEY + "x"},
        {"x-api-key": KEY[:-1]},
        {"x-api-key": "\udcff ü"},
        {"x-api-key": "sha256:" + hashlib.sha256(KEY.encode()).hexdigest()},
    ],
)
def test_no_key_or_another_one_is_refused(tmp_path: Path, headers: dict[str, str]) -> None:
    access = Access({"shop": FakeIntake()}, read_keys(file_of(tmp_path, f'[tenants]\nshop = ["{KEY}"]')))
    with pytest.raises(UnauthenticatedError):
        access.intake_of(headers)


def test_without_keys_everybody_is_the_only_tenant() -> None:
    intake = FakeIntake()
    assert Access.free(intake).intake_of({}) is intake
    with pytest.raises(ValueError, match="one tenant"):
        Access({"a": intake, "b": intake})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[tenants", "is not valid TOML"),
        ("", "needs one table"),
        ("[tenants]", "needs one table"),
        (f'[tenants]\nshop = ["{KEY}"]\n[tenant]\nbank = []', "needs one table"),
        ("tenants = 3", "needs one table"),
        (f'[tenants]\nshop = "{KEY}"', "needs a list of keys"),
        ("[tenants]\nshop = []", "needs a list of keys"),
        ("[tenants]\nshop = [7]", "needs a list of keys"),
        ('[tenants]\nshop = ["short"]', "at least 16 visible ASCII characters"),
        ('[tenants]\nshop = ["with spaces in between"]', "at least 16 visible ASCII characters"),
        ('[tenants]\nshop = ["sha256:0123456789abcdef"]', "64 hexadecimal digits"),
        (f'[tenants]\nshop = ["{KEY}"]\nbank = ["{KEY}"]', "stands there twice"),
        (f'[tenants]\n"../shop" = ["{KEY}"]', "is no tenant's name"),
        (f'[tenants]\n"a.b" = ["{KEY}"]', "is no tenant's name"),
        (f'[tenants]\n"Shop" = ["{KEY}"]', "is no tenant's name"),
        (f'[tenants]\n"" = ["{KEY}"]', "is no tenant's name"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(KeysError, match=reason) as caught:
        read_keys(file_of(tmp_path, text))
    assert KEY not in str(caught.value), "a message ends up in logs"


def test_a_file_that_everybody_can_read_is_refused(tmp_path: Path) -> None:
    path = file_of(tmp_path, f'[tenants]\nshop = ["{KEY}"]', 0o644)
    with pytest.raises(KeysError, match=r"Close it with: chmod 600 .*keys\.toml"):
        read_keys(path)
    path.chmod(0o640)
    assert len(read_keys(path)) == 1


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(KeysError, match="cannot be read: No such file"):
        read_keys(tmp_path / "keys.toml")


def test_a_tenants_store_stands_beside_the_one_that_was_named() -> None:
    assert store_of(Path("/data/traces.db"), "shop") == Path("/data/traces.shop.db")
    assert store_of(Path("traces"), "shop") == Path("traces.shop")
    for name in ("..", "a/b", "a\\b", "", "a\n", "x" * 64, "ü"):
        with pytest.raises(KeysError):
            store_of(Path("t.db"), name)


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o601])
def test_nothing_may_be_done_with_the_file_by_others(tmp_path: Path, mode: int) -> None:
    path = file_of(tmp_path, f'[tenants]\nshop = ["{KEY}"]', mode)
    with pytest.raises(KeysError, match="chmod 600"):
        read_keys(path)


def test_each_key_is_compared_whichever_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """So the time of an answer does not tell where in the file a key stands."""
    keys = {hashlib.sha256(f"key {number}".encode()).digest(): f"t{number}" for number in range(5)}
    access = Access({tenant: FakeIntake() for tenant in keys.values()}, keys)
    compared: list[bool] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(one == other)
        return compared[-1]

    monkeypatch.setattr("tracescape_ingest.access.hmac.compare_digest", compare)
    for number in range(5):
        compared.clear()
        assert access.tenant_of({"x-api-key": f"key {number}"}) == f"t{number}"
        assert len(compared) == 5
