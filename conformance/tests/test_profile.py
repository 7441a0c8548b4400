"""Profiles: settings come from a file, secrets from the environment, and what cannot be meant is one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.launch import Launch
from conformance.profile import header_pairs, make_target, read_profile, settings_of
from conformance.target import Target, TargetError, check_url

if TYPE_CHECKING:
    from pathlib import Path

URL = "http://localhost:3001"


def profile(tmp_path: Path, content: str) -> Path:
    path = tmp_path / "staging.toml"
    path.write_text(content)
    return path


def refused(path: Path) -> str:
    with pytest.raises(TargetError) as caught:
        read_profile(path)
    sentence = str(caught.value)
    assert sentence.startswith(str(path))
    assert "\n" not in sentence
    return sentence


def test_a_whole_profile_makes_a_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that a profile may say arrives in the target, secrets and headers from the environment."""
    monkeypatch.setenv("TOKEN_A", "secret-a")
    monkeypatch.setenv("TOKEN_B", "secret-b")
    monkeypatch.setenv("GATEWAY", "secret-c")
    path = profile(
        tmp_path,
        f"""
        name = "staging"
        url = "{URL}"
        level = "full"
        token_env = "TOKEN_A"
        second_token_env = "TOKEN_B"
        base_path = "/api/"
        agent_ws = "/sockets/agent"
        dashboard_ws = "/sockets/dashboard"
        headers = {{ X-Gateway-Key = "env:GATEWAY", X-Plain = "plain" }}
        header = ["X-Other: a:b"]
        withheld = ["versions"]
        timings = {{ clock_tolerance = 5, init_timeout = 2.5 }}
        claims = {{ aud = "us" }}
        allow = {{ destructive = true }}
        nodes = ["{URL}/", "http://localhost:3002"]
        command = ["serve", "--port", "3001"]
        restart = ["again"]
        ready = "/health"
        env = {{ NODE_ENV = "test", DB_PASSWORD = "plain-password", KEY = "env:GATEWAY" }}
        """,
    )
    target = make_target(read_profile(path))
    assert target == Target(
        url=URL, name="staging", level="full", tokens=("secret-a", "secret-b"), base_path="/api",
        agent_ws="/sockets/agent", dashboard_ws="/sockets/dashboard", withheld=("versions",),
        headers={"X-Gateway-Key": "secret-c", "X-Plain": "plain", "X-Other": "a:b"},
        clock_tolerance=5.0, init_timeout=2.5, heartbeat_interval=30.0, claims={"aud": "us"},
        destructive=True, nodes=(URL, "http://localhost:3002"),
        launch=Launch(
            command=("serve", "--port", "3001"), restart=("again",), ready="/health",
            env={"NODE_ENV": "test", "DB_PASSWORD": "plain-password", "KEY": "secret-c"},
            secrets=("plain-password", "secret-c"),
        ),
    )  # fmt: skip
    assert {"secret-a", "secret-b", "secret-c", "plain-password"} <= set(target.secrets)
    assert "test" not in target.secrets
    assert (target.can_restart, target.can_kill, target.has_nodes) == (True, True, True)
    assert not any(secret in repr(target) for secret in ("secret-a", "secret-b", "secret-c"))


@pytest.mark.parametrize(
    ("key", "meant"), [("bas_path", "base_path"), ("URL", "known are url"), ("tokens_env", "token_env")]
)
def test_an_unknown_setting_is_refused_with_a_hint(tmp_path: Path, key: str, meant: str) -> None:
    """A misspelt setting is not ignored; the one that is near is named, else all there are."""
    said = refused(profile(tmp_path, f'{key} = "x"'))
    assert f"there is no setting {key!r}" in said
    assert meant in said


@pytest.mark.parametrize("key", ["token", "second_token", "jwt_secret"])
def test_secrets_do_not_belong_in_a_file(tmp_path: Path, key: str) -> None:
    """A secret in a file is refused, the setting that names a variable is given, and the secret is not repeated."""
    said = refused(profile(tmp_path, f'{key} = "very-secret"'))
    assert f'{key}_env = "NAME"' in said
    assert "very-secret" not in said


@pytest.mark.parametrize("line", ['token_env = "NOT_SET"', 'headers = { X-Key = "env:NOT_SET" }'])
def test_a_variable_must_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    """A variable that is named and not set, or empty, is said by its name."""
    monkeypatch.delenv("NOT_SET", raising=False)
    assert "NOT_SET, which is not set" in refused(profile(tmp_path, line))
    monkeypatch.setenv("NOT_SET", "")
    assert "NOT_SET, which is not set" in refused(profile(tmp_path, line))


@pytest.mark.parametrize(
    "line",
    [
        "url = 7", 'seed = "1"', "seed = true", 'users = "alice,bob"', "users = [1, 2]", "header = [1]",
        "report = [1]", "withheld = [true]", 'quiet = "yes"', "level = 1", 'headers = "X: y"', "timings = 3",
        "timings = { heartbeat = 3 }", 'timings = { init_timeout = "3" }', "timings = { init_timeout = 0 }",
        "timings = { init_timeout = true }", "allow = { everything = true }", 'allow = { destructive = "yes" }',
        'command = "serve --port 1"', "command = []", "command = [1]", 'restart = "again"', "env = { PORT = 3 }",
        "nodes = [1]", "ready = 3", 'max_time = "5"', "max_time = 0", "max_time = true",
    ],
)  # fmt: skip
def test_wrong_types_and_values_are_refused(tmp_path: Path, line: str) -> None:
    """A setting of the wrong type, or a time that cannot be, is named."""
    assert line.split(maxsplit=1)[0] in refused(profile(tmp_path, line))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('url = "http://x"\nready = "/health"', "ready says something of a process: name its command"),
        ('url = "http://x:1"\ncommand = ["serve", "{port}"]', "command holds {port} and url does not"),
        ('url = "http://x:1"\nnodes = ["http://x:1"]', "name each node once; two are needed"),
        ('url = "http://x:1"\nnodes = ["x:2"]', "is no URL"),
    ],
)
def test_a_process_that_cannot_be_is_told(tmp_path: Path, content: str, said: str) -> None:
    """What a profile says of a process and of nodes must fit together; the error says what to write."""
    with pytest.raises(TargetError, match=said):
        make_target(settings_of(str(profile(tmp_path, content)), {}))


def test_an_open_port_is_the_same_everywhere(tmp_path: Path) -> None:
    """A free port takes the place of {port} in the URL, the command and its environment; two targets have two."""
    path = profile(tmp_path, 'command = ["serve", "--port={port}"]\nenv = { PORT = "{port}" }\nready = "/health"')
    targets = [make_target(settings_of(str(path), {})) for _ in range(2)]
    for target in targets:
        port = target.url.rpartition(":")[2]
        assert target.launch == Launch(("serve", f"--port={port}"), env={"PORT": port}, ready="/health")
    assert targets[0].url != targets[1].url


def test_what_is_said_is_laid_over_the_profile(tmp_path: Path) -> None:
    """On the command line permission, timings, nodes and what is withheld are added to the profile's."""
    path = profile(tmp_path, f'url = "{URL}"\nwithheld = ["versions"]\ntimings = {{ init_timeout = 2 }}')
    said = {"destructive": True, "withhold": ["batching"], "timing": ["cancel_grace=3"], "node": ["http://localhost:2"]}
    target = make_target(settings_of(str(path), said))
    assert (target.destructive, target.withheld) == (True, ("versions", "batching"))
    assert (target.init_timeout, target.cancel_grace) == (2.0, 3.0)
    assert target.nodes == (URL, "http://localhost:2")
    assert not make_target(settings_of(str(path), {})).destructive
    for line in ("cancel_grace", "cancel_grace=0", "cancel_grace=soon", "grace=3", "cancel_grace=inf"):
        with pytest.raises(TargetError, match="write NAME=SECONDS"):
            settings_of(str(path), {"timing": [line]})


@pytest.mark.parametrize("content", ["url = ", "\x00", "[[[", 'url = "a"\nurl = "b"'])
def test_what_is_no_toml_is_said_to_be_none(tmp_path: Path, content: str) -> None:
    """A file that is no TOML is refused with its path."""
    assert "is no TOML" in refused(profile(tmp_path, content))


def test_unreadable_files_are_said(tmp_path: Path) -> None:
    """A file that is absent, a directory, or not UTF-8 is refused with its path."""
    assert "cannot be read" in refused(tmp_path / "none.toml")
    assert "cannot be read" in refused(tmp_path)
    path = tmp_path / "latin.toml"
    path.write_bytes(b'name = "\xe9"')
    assert "is no TOML" in refused(path)


@pytest.mark.parametrize(
    ("lines", "pairs"),
    [
        ([], {}),
        (["X-A: b"], {"X-A": "b"}),
        (["X-A:b:c", " X-B :  d "], {"X-A": "b:c", "X-B": "d"}),
        (["X-A:"], {"X-A": ""}),
        (["X-A: 1", "X-A: 2"], {"X-A": "2"}),
    ],
)
def test_headers_are_read(lines: list[str], pairs: dict[str, str]) -> None:
    """A header is its name, a colon, and its value, without the spaces around."""
    assert header_pairs(lines) == pairs


@pytest.mark.parametrize("line", ["X-A", "", ": b", " : b", "X-A: b\r\nX-Evil: c", "X-A: b\n"])
def test_what_is_no_header_is_refused(line: str) -> None:
    """A line without name or colon, or with a line break, is no header, and its value is not repeated."""
    with pytest.raises(TargetError, match="Name: value") as caught:
        header_pairs([line])
    assert "\n" not in str(caught.value)
    assert "Evil" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://localhost", "https://x.example:8443/", "http://[::1]:3001", "http://u:p@h/x", "http://127.0.0.1:0"]
)
def test_http_urls_are_urls(url: str) -> None:
    """Http and https URLs with a host are taken as they are."""
    assert check_url(url) == url


@pytest.mark.parametrize(
    "url",
    ["", "localhost:3001", "/x", "ftp://x", "http://", "http:///x", "http://x:y", "http://x:99999", "http://[::1",
     "http://a b", "file:///etc/passwd", "ws://x", "wss://x:1/ws/agent", "none"],
)  # fmt: skip
def test_other_urls_are_refused(url: str) -> None:
    """What cannot be asked over HTTP is refused in one sentence that repeats it."""
    with pytest.raises(TargetError) as caught:
        check_url(url)
    assert url in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_socket_url_names_the_setting() -> None:
    """Whoever gives a ws:// URL is told where the socket paths are set."""
    with pytest.raises(TargetError, match="--agent-ws"):
        check_url("ws://localhost:3001/ws/agent")


@given(st.text())
def test_any_text_is_a_url_or_refused(text: str) -> None:
    """Whatever is given as a URL is taken or refused, and nothing else happens."""
    try:
        assert check_url(text) == text
    except TargetError:
        return


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "no url"),
        ({"url": ""}, "no url"),
        ({"url": URL, "level": "all"}, "core, full"),
        ({"url": URL, "second_token": "t"}, "--token"),
        ({"url": URL, "base_path": "api"}, "begins with /"),
        ({"url": URL, "agent_ws": "ws"}, "begins with /"),
        ({"url": URL, "header": ["x"]}, "Name: value"),
    ],
)
def test_settings_that_make_no_target(settings: dict[str, Any], says: str) -> None:
    """Settings that contradict themselves are refused with what to write instead."""
    with pytest.raises(TargetError, match=says):
        make_target(settings)


def test_what_is_said_lies_over_the_profile(tmp_path: Path) -> None:
    """The command line wins over the file, users are parted by commas, and no TARGET leaves the URL open."""
    path = profile(tmp_path, f'url = "{URL}"\nlevel = "core"\nseed = 1')
    said = settings_of(str(path), {"level": "full", "users": "carol, dan,"})
    assert (said["url"], said["level"], said["seed"], said["users"]) == (URL, "full", 1, ["carol", "dan"])
    assert "url" not in settings_of(None, {})
    assert "url" not in settings_of("reference", {})


def test_the_environment_fills_only_what_is_left_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys in the environment count where neither the profile nor the command line names any."""
    monkeypatch.setenv("ONSEMBL_TOKEN", "from-the-shell")
    monkeypatch.setenv("KEY", "from-the-profile")
    path = profile(tmp_path, f'url = "{URL}"\njwt_secret_env = "KEY"')
    assert "token" not in settings_of(str(path), {})
    assert settings_of(URL, {})["token"] == "from-the-shell"
    assert settings_of(URL, {"token": "said"})["token"] == "said"


def test_settings_of_a_target_need_one() -> None:
    """What says something of a backend is refused where the bundled reference is judged."""
    with pytest.raises(TargetError, match="--base-path"):
        settings_of(None, {"base_path": "/api"})


def test_what_the_reference_stores_in_is_its_own_affair() -> None:
    """The reference's store is one that it knows; of a backend nothing like it is said."""
    assert settings_of("reference", {"store": "postgresql"}) == {"store": "postgresql"}
    with pytest.raises(TargetError, match="sqlite and postgresql"):
        settings_of(None, {"store": "oracle"})
    with pytest.raises(TargetError, match="of no effect"):
        settings_of(URL, {"store": "sqlite"})


def test_a_path_in_the_url_is_the_base_path() -> None:
    """A URL with a path names where the API is; a named base path wins."""
    assert make_target({"url": f"{URL}/api/v2/"}).base_path == "/api/v2"
    assert make_target({"url": f"{URL}/x", "base_path": "/api"}).base_path == "/api"
    assert make_target({"url": f"{URL}/"}).base_path is None


def test_a_target_without_url_is_not_the_reference(tmp_path: Path) -> None:
    """An empty TARGET, or a profile that names no URL, is refused: the bundled reference is not judged in its place."""
    for target in ("", str(profile(tmp_path, 'level = "core"'))):
        with pytest.raises(TargetError, match="no url"):
            settings_of(target, {})


@pytest.mark.parametrize(
    ("url", "origin", "loopback"),
    [
        ("http://localhost:3001/x?y", "http://localhost:3001", True),
        ("https://h.example/", "https://h.example", False),
        ("http://127.9.9.9", "http://127.9.9.9", True),
        ("http://[::1]:1", "http://[::1]:1", True),
        ("http://127.evil.example", "http://127.evil.example", False),
    ],
)
def test_a_target_knows_its_places(url: str, origin: str, loopback: bool) -> None:
    """The origin follows from the URL, and loopback is this machine alone."""
    target = Target(url)
    assert (target.origin, target.is_loopback) == (origin, loopback)
    assert target.label == url


def test_an_account_and_its_mail_are_named_in_the_profile(tmp_path: Path) -> None:
    """The login table names an address and a command; the limits a number; what is neither is refused with a hint."""
    path = tmp_path / "target.toml"
    path.write_text(
        'url = "http://x"\nlogin = { email = "a@b.example", mail_command = ["newest", "{email}"] }\n'
        "limits = { rest_per_second = 50 }\n"
    )
    target = make_target(settings_of(str(path), {}))
    assert (target.email, target.mail_command) == ("a@b.example", ("newest", "{email}"))
    assert target.rest_per_second == 50
    for wrong, hint in (
        ('login = { mail_command = ["x"] }', "address of an account"),
        ('login = { email = "a@b.example", mail_command = "x {email}" }', "command and its arguments"),
        ("limits = { rest_per_second = 0 }", "more than 0"),
    ):
        path.write_text(f'url = "http://x"\n{wrong}\n')
        with pytest.raises(TargetError, match=hint):
            settings_of(str(path), {})
