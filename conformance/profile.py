"""Reads a target's profile (`target.toml`) and lays what was said on the command line over it.

Secrets come from the environment: the file names variables (`token_env = "STAGING_TOKEN"`), never their values.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance.launch import KEYS, PORT, make_launch, with_port
from conformance.target import Target, TargetError, check_url

if TYPE_CHECKING:
    from collections.abc import Mapping
from urllib.parse import urlsplit

SECRETS = {"token": "token_env", "second_token": "second_token_env", "jwt_secret": "jwt_secret_env"}
"""Settings whose value may not stand in a file → the setting that names a variable instead."""
BUNDLED = "reference"
"""The word for the bundled reference implementation."""
VARIABLES = {"token": "ONSEMBL_TOKEN", "second_token": "ONSEMBL_SECOND_TOKEN", "jwt_secret": "ONSEMBL_JWT_SECRET"}
"""Where keys are taken from when neither the profile nor the command line names any."""
OF_A_TARGET = frozenset(
    (
        *("token", "second_token", "jwt_secret", "users", "header", "base_path", "agent_ws", "dashboard_ws"),
        *("withhold", "timing", "node"),
    )
)
"""Settings that say something of a backend, and nothing of the bundled reference."""
STORES = ("sqlite", "postgresql")
"""What the bundled reference can keep its data in; a setting of it alone, `store`, that says nothing of a backend."""
SETTINGS: Mapping[str, type | tuple[type, ...]] = {
    "url": str,
    "name": str,
    "base_path": str,
    "agent_ws": str,
    "dashboard_ws": str,
    "level": str,
    "users": list,
    "claims": dict,
    "headers": dict,
    "header": list,
    "withheld": list,
    "timings": dict,
    "allow": dict,
    "nodes": list,
    "command": list,
    "restart": list,
    "ready": str,
    "env": dict,
    "evidence": list,
    "login": dict,
    "limits": dict,
    "only": str,
    "seed": int,
    "max_time": (int, float),
    "effort": str,
    "corpus": str,
    "fail_under": (int, float),
    "fail_fast": bool,
    "report": list,
    "quiet": bool,
    **dict.fromkeys(SECRETS.values(), str),
}
TEXTS = ("users", "header", "withheld", "report", "nodes")
"""Lists whose items are texts."""
COMMANDS: Mapping[str, str] = {
    "evidence": '["show-rows", "--db", "test"]',
    "command": '["node", "dist/server.js", "--port", "{port}"]',
    "restart": '["docker", "restart", "backend"]',
}
"""Settings that are a command → how one looks."""
TIMINGS = ("clock_tolerance", "init_timeout", "heartbeat_interval", "cancel_grace")
TABLES: Mapping[str, tuple[str, ...]] = {
    "timings": TIMINGS,
    "allow": ("destructive",),
    "login": ("email", "mail_command"),
    "limits": ("rest_per_second", "queue_room"),
}
"""Settings that are tables → what may stand in them."""
NUMBERS = {"timings": "seconds", "limits": "a number"}
"""Tables of numbers → what is counted."""
LEVELS = ("core", "full")
EFFORTS = ("quick", "normal", "deep")


def read_profile(path: Path) -> dict[str, Any]:
    """The settings in a file, secrets fetched from the environment. Raises `TargetError` with what to write instead."""
    try:
        settings = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise TargetError(f"{path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TargetError(f"{path} is no TOML: {error}") from error
    for key, value in settings.items():
        _check(path, key, value)
    for secret, named in SECRETS.items():
        if named in settings:
            settings[secret] = _variable(path, named, settings.pop(named))
    settings["hidden"] = frozenset(k for k, v in settings.get("env", {}).items() if v.startswith("env:"))
    for key in ("headers", "env"):
        if key in settings:
            settings[key] = {k: _expanded(path, f"{key}.{k}", str(v)) for k, v in settings[key].items()}
    return settings | {"profile": str(path)}


def _check(path: Path, key: str, value: Any) -> None:
    if key in SECRETS:
        raise TargetError(
            f"{path}: {key} is a secret and does not belong in a file; "
            f'write {SECRETS[key]} = "NAME" and set that variable'
        )
    if key not in SETTINGS:
        near = difflib.get_close_matches(key, SETTINGS, 1)
        hint = f"; did you mean {near[0]}?" if near else f"; known are {', '.join(SETTINGS)}"
        raise TargetError(f"{path}: there is no setting {key!r}{hint}")
    if not isinstance(value, SETTINGS[key]) or (isinstance(value, bool) and SETTINGS[key] is not bool):
        raise TargetError(f"{path}: {key} = {value!r} is of the wrong type")
    if key in COMMANDS and not _is_command(value):
        raise TargetError(f"{path}: {key} is a command and its arguments as strings: {COMMANDS[key]}")
    _check_parts(path, key, value)


def _check_parts(path: Path, key: str, value: Any) -> None:
    if key in TABLES and (unknown := value.keys() - set(TABLES[key])):
        raise TargetError(f"{path}: {key} know {', '.join(TABLES[key])}, not {', '.join(sorted(unknown))}")
    if key in NUMBERS and (odd := [k for k, v in value.items() if not _is_positive(v)]):
        raise TargetError(f"{path}: {key}.{odd[0]} = {value[odd[0]]!r}: write {NUMBERS[key]}, more than 0")
    if key == "login":
        _check_login(path, value)
    if key == "allow" and (odd := [k for k, v in value.items() if not isinstance(v, bool)]):
        raise TargetError(f"{path}: allow.{odd[0]} = {value[odd[0]]!r}: write true or false")
    if key == "env" and (odd := [k for k, v in value.items() if not isinstance(v, str)]):
        raise TargetError(f'{path}: env.{odd[0]} = {value[odd[0]]!r}: write a text, or "env:NAME" for a variable')
    if key == "max_time" and value < 1:
        raise TargetError(f"{path}: max_time = {value!r}: write seconds, at least 1")
    if key in TEXTS and not all(isinstance(v, str) for v in value):
        raise TargetError(f"{path}: {key} = {value!r} is of the wrong type: it is a list of texts")


def _check_login(path: Path, login: dict[str, Any]) -> None:
    if not isinstance(login.get("email"), str) or "@" not in login["email"]:
        raise TargetError(f'{path}: login needs the address of an account: email = "tester@example.com"')
    if "mail_command" in login and not (isinstance(login["mail_command"], list) and _is_command(login["mail_command"])):
        raise TargetError(f'{path}: login.mail_command is a command and its arguments: ["newest-token", "{{email}}"]')


def _is_positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _is_command(value: Any) -> bool:
    return bool(value) and all(isinstance(part, str) and part for part in value)


def _variable(path: Path, key: str, name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise TargetError(f"{path}: {key} names the variable {name}, which is not set")
    return value


def _expanded(path: Path, key: str, value: str) -> str:
    if value.startswith("env:"):
        return _variable(path, key, value.removeprefix("env:"))
    return value


def header_pairs(lines: list[str]) -> dict[str, str]:
    """`Name: value` lines as headers. Raises `TargetError`."""
    pairs = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name.strip() or "\n" in line or "\r" in line:
            raise TargetError(f"header {line.split(':')[0]!r}: write it as 'Name: value'")
        pairs[name.strip()] = value.strip()
    return pairs


def settings_of(target: str | None, said: Mapping[str, Any]) -> dict[str, Any]:
    """All settings of a run: the profile's, over them what was said; the environment's keys where neither names any.

    No `url` means the bundled reference (TARGET left out, or the word `reference`). Raises `TargetError`.
    """
    given = {key: value for key, value in said.items() if value not in (None, [])}
    if isinstance(users := given.get("users"), str):
        given["users"] = [u.strip() for u in users.split(",") if u.strip()]
    if target is None or target == BUNDLED:
        if idle := sorted(given.keys() & OF_A_TARGET):
            names = ", ".join("--" + name.replace("_", "-") for name in idle)
            raise TargetError(f"{names}: of no effect on the bundled reference; name a TARGET, or leave them out")
        if given.get("store", STORES[0]) not in STORES:
            raise TargetError(f"--store {given['store']}: the bundled reference knows {' and '.join(STORES)}")
        return given
    if "store" in given:
        raise TargetError("--store: of no effect on a backend of your own; it is what the bundled reference stores in")
    path = Path(target)
    settings = read_profile(path) if target.endswith(".toml") or path.is_file() else {"url": target}
    settings = _with_process(_laid_over(settings, given))
    if not settings.get("url"):
        make_target(settings)  # says so: a target that names nothing is not the bundled reference
    if not settings.keys() & SECRETS.keys():
        settings |= {key: os.environ[name] for key, name in VARIABLES.items() if os.environ.get(name)}
    return settings


def _laid_over(settings: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """A profile's settings with what was said over them: lists and tables of one name are joined, not replaced."""
    allowed = {"destructive": True} if given.pop("destructive", False) else {}
    timings = dict(_timing(line) for line in given.pop("timing", []))
    joined = {
        "allow": settings.get("allow", {}) | allowed,
        "timings": settings.get("timings", {}) | timings,
        "withheld": [*settings.get("withheld", []), *given.pop("withhold", [])],
        "nodes": given.pop("node", []) or settings.get("nodes", []),
    }
    return settings | {key: value for key, value in joined.items() if value} | given


def _timing(line: str) -> tuple[str, float]:
    """`NAME=SECONDS` as its parts. Raises `TargetError`."""
    name, _, value = line.partition("=")
    with suppress(ValueError):
        if name in TIMINGS and _is_positive(seconds := float(value)) and seconds < float("inf"):
            return name, seconds
    raise TargetError(f"timing {line!r}: write NAME=SECONDS, more than 0, where NAME is {', '.join(TIMINGS)}")


def make_target(settings: Mapping[str, Any]) -> Target:
    """The target that settings describe; a port it leaves open is chosen here. Raises `TargetError`."""
    settings = _with_process(settings)
    if not settings.get("url"):
        raise TargetError("no url: name the backend's URL, or leave TARGET out to judge the bundled reference")
    if settings.get("effort", "quick") not in EFFORTS:
        raise TargetError(f"effort {settings['effort']!r} is none of {', '.join(EFFORTS)}")
    if settings.get("level", "core") not in LEVELS:
        raise TargetError(f"level {settings['level']!r} is none of {', '.join(LEVELS)}")
    if settings.get("second_token") and not settings.get("token"):
        raise TargetError("a second token without a first: give --token as well")
    timings = settings.get("timings", {})
    named = {k: v for k, v in settings.items() if k == "base_path" and v is not None}
    return Target(
        url=check_url(settings["url"]),
        name=settings.get("name", ""),
        profile=settings.get("profile", ""),
        base_path=_path({"base_path": urlsplit(settings["url"]).path.rstrip("/") or None} | named, "base_path"),
        agent_ws=_path(settings, "agent_ws"),
        dashboard_ws=_path(settings, "dashboard_ws"),
        tokens=tuple(t for t in (settings.get("token"), settings.get("second_token")) if t),
        jwt_secret=settings.get("jwt_secret") or "",
        users=tuple(settings.get("users", ())),
        claims=settings.get("claims", {}),
        headers=settings.get("headers", {}) | header_pairs(settings.get("header", [])),
        level=settings.get("level", "core"),
        withheld=tuple(settings.get("withheld", ())),
        evidence=tuple(settings.get("evidence", ())),
        email=settings.get("login", {}).get("email", ""),
        mail_command=tuple(settings.get("login", {}).get("mail_command", ())),
        rest_per_second=float(settings.get("limits", {}).get("rest_per_second", 0)),
        clock_tolerance=float(timings.get("clock_tolerance", 60)),
        init_timeout=float(timings.get("init_timeout", 30)),
        heartbeat_interval=float(timings.get("heartbeat_interval", 30)),
        cancel_grace=float(timings.get("cancel_grace", 30)),
        queue_room=int(settings.get("limits", {}).get("queue_room", 1000)),
        destructive=settings.get("allow", {}).get("destructive", False),
        nodes=_nodes(settings),
        launch=make_launch(settings, settings.get("hidden", frozenset())),
    )


def _with_process(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with a port, those of a process checked against each other. Raises `TargetError`."""
    where = f"{settings['profile']}: " if settings.get("profile") else ""
    for key in ("ready", "env"):
        if settings.get(key) and not (settings.get("command") or settings.get("restart")):
            raise TargetError(f"{where}{key} says something of a process: name its command (or restart) as well")
    opened = [key for key in KEYS if key != "url" and PORT in str(settings.get(key))]
    if opened and PORT not in settings.get("url", PORT):
        raise TargetError(
            f"{where}{opened[0]} holds {PORT} and url does not: "
            f'write url = "http://127.0.0.1:{PORT}", or the port itself'
        )
    if opened and not settings.get("url"):
        settings = {**settings, "url": f"http://127.0.0.1:{PORT}"}
    return with_port(settings)


def _nodes(settings: Mapping[str, Any]) -> tuple[str, ...]:
    nodes = tuple(check_url(url).rstrip("/") for url in settings.get("nodes", ()))
    if len(nodes) == 1:
        nodes = (check_url(settings["url"]).rstrip("/"), *nodes)
    if len(set(nodes)) != len(nodes):
        raise TargetError(f"nodes: {', '.join(nodes)}: name each node once; two are needed")
    return nodes


def _path(settings: Mapping[str, Any], key: str) -> str | None:
    value = settings.get(key)
    if value is None:
        return None
    if value and not value.startswith("/"):
        raise TargetError(f"{key} {value!r}: write a path that begins with /")
    return str(value).rstrip("/")
