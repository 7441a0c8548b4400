"""A saved case: one timeline as a plain JSON file, to be judged or provoked again.

The file holds one object (UTF-8, checked when it is read):

    format     1
    case       id of the case: "disconnect/agent-leaves"
    seed       the run's seed
    contract   {"version", "digest"} of the contract it was judged by
    target     the target's label, without secrets
    level      core or full
    terms      what held beside the contract: {"slack": 0.25, …}
    epoch      Unix time of the timeline's start; `at` and `end` are seconds since then
    end        how long it was watched
    script     the sequence that was played, where the case was generated (script.schema.json)
    cut        true when something was too long to be kept whole: then it can be provoked again, not judged again
    events     in order, each {"event": "exchange" | "opened" | "frame" | "closed" | "note", …}, with the fields of the
               class of that name in `timeline.py`. A field at its default is left out. `binary` is base64. The `value`
               of a frame or an exchange is left out where it is what its `text` says as JSON.

What a file contains is data: nothing in it is run, imported or used as a path.
"""

from __future__ import annotations

import base64
import json
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import MISSING as NO_DEFAULT
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from conformance.contract import load_contract
from conformance.redact import Redactor
from conformance.rim import DEEPEST, is_shallow
from conformance.sequences.script import first_error
from conformance.terms import Terms
from conformance.timeline import MISSING, Closed, Event, Exchange, Frame, Note, Opened, Timeline

if TYPE_CHECKING:
    from conformance.contract import Contract
    from conformance.engine.events import CaseFinished
    from conformance.engine.result import Result

Check = Callable[[Any], bool]

FORMAT = 1
PLACE = Path(".conformance") / "failures"
LONGEST = 64 * 1024
LARGEST_FILE = 64 * 1024 * 1024
MOST_EVENTS = 5_000
"""Events up to which a timeline is kept whole. Of a longer one (load) only what its findings rest on is."""
MOST_KEPT = 1_000
LARGEST_NUMBER = 1e15
CUT_MARK = "… [cut here: the whole was {} characters long]"

_KINDS: Final[dict[str, Any]] = {
    "exchange": Exchange, "opened": Opened, "frame": Frame, "closed": Closed, "note": Note,
}  # fmt: skip
_NAMES = {cls: kind for kind, cls in _KINDS.items()}


class SavedError(Exception):
    """A file is not a saved case, or cannot be read or written; the message is one sentence for a person."""


@dataclass(frozen=True)
class SavedCase:
    """A saved case, read back."""

    case: str
    seed: int
    version: str
    digest: str
    target: str
    level: str
    timeline: Timeline
    cut: bool = False
    """Whether parts of the timeline were too long to be kept."""
    script: Mapping[str, Any] | None = None
    """The sequence that was played, where the case was generated."""


def save(  # noqa: PLR0913 - the facts of a run, by name
    finished: CaseFinished,
    *,
    seed: int,
    target: str,
    level: str,
    redactor: Redactor | None = None,
    directory: Path | None = None,
) -> Path:
    """Writes a finished case and says where. Raises `SavedError`."""
    if finished.timeline is None:
        raise SavedError(f"case {finished.case} has no timeline to save")
    whole = finished.timeline
    kept = whole.only(*_evidence(finished)) if len(whole.events) > MOST_EVENTS else whole
    document = to_json(kept, case=finished.case, seed=seed, target=target, level=level, redactor=redactor or Redactor())
    document["cut"] |= kept is not whole
    if finished.script is not None:
        document["script"] = finished.script
    content = json.dumps(document, indent=1).encode()
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", finished.case.replace("/", ".")).strip(".-") or "case"
    reason: OSError | None = None
    places: tuple[Callable[[], Path], ...] = (lambda: directory,) if directory else (lambda: PLACE, _fallback)
    for place in places:
        try:
            folder = place()
            folder.mkdir(parents=True, exist_ok=True)
            return _written(folder / f"{name}.json", content)
        except OSError as error:
            reason = error
    raise SavedError(f"case {finished.case} could not be saved: {reason}")


def save_failures(result: Result, redactor: Redactor, directory: Path | None = None) -> list[Path]:
    """Saves the first case of every breach, names it in `Breach.replay`, and gives the files.

    Raises `SavedError` when a file cannot be written anywhere; breaches so far keep theirs.
    """
    by_id = {event.case: event for event in result.finished}
    paths: dict[str, Path] = {}
    for breach in (b for c in result.clauses.values() for b in c.breaches):
        event = by_id.get(breach.finding.case)
        if breach.replay or event is None or event.timeline is None:
            continue
        if event.case not in paths:
            label = redactor.text(result.target.label)
            paths[event.case] = save(
                event, seed=result.seed, target=label, level=result.level, redactor=redactor, directory=directory
            )
        breach.replay = str(paths[event.case])
    return list(paths.values())


def load(path: Path | str, contract: Contract | None = None) -> SavedCase:
    """Reads a saved case. Raises `SavedError`."""
    document = _read(Path(path))
    if document.get("format") != FORMAT:
        raise SavedError(f"{path} is not a saved case: its `format` is not {FORMAT}")
    if wrong := _first_error(document):
        raise SavedError(f"{path} is not a saved case: {wrong}")
    try:
        events = [_event(entry) for entry in document["events"]]
    except (TypeError, ValueError, RecursionError) as error:
        raise SavedError(f"{path} is not a saved case: {error}") from None
    timeline = Timeline(
        events,
        contract=contract or load_contract(),
        terms=Terms(**document["terms"]),
        epoch=document["epoch"],
        case=document["case"],
        end=document["end"],
    )
    return SavedCase(
        case=document["case"],
        seed=document["seed"],
        version=document["contract"]["version"],
        digest=document["contract"]["digest"],
        target=document["target"],
        level=document["level"],
        timeline=timeline,
        cut=document.get("cut", False),
        script=document.get("script"),
    )


def to_json(  # noqa: PLR0913 - see save
    timeline: Timeline, *, case: str, seed: int, target: str, level: str, redactor: Redactor
) -> dict[str, Any]:
    """A timeline as the object that a saved case holds."""
    cuts: list[str] = []
    events = [_entry(event, redactor, cuts) for event in timeline.events]
    return {
        "format": FORMAT,
        "case": case,
        "seed": seed,
        "contract": {"version": timeline.contract.version, "digest": timeline.contract.digest},
        "target": redactor.text(target),
        "level": level,
        "terms": asdict(timeline.terms),
        "epoch": timeline.epoch,
        "end": timeline.end,
        "cut": bool(cuts),
        "events": events,
    }


def _evidence(finished: CaseFinished) -> list[Event]:
    """The events that the findings of a case name, with the sockets those went over, and what was noted."""
    named = {e.seq: e for f in finished.findings for e in (f.where, *f.evidence) if e is not None}
    events = finished.timeline.events if finished.timeline else ()
    sockets = {e.connection for e in named.values() if isinstance(e, Opened | Frame | Closed)}
    around = [e for e in events if isinstance(e, Note) or (isinstance(e, Opened | Closed) and e.connection in sockets)]
    return list({e.seq: e for e in (*named.values(), *around)}.values())[:MOST_KEPT]


def _entry(event: Event, redactor: Redactor, cuts: list[str]) -> dict[str, Any]:
    entry: dict[str, Any] = {"event": _NAMES[type(event)]}
    for field in _fields(type(event)):
        value = getattr(event, field.name)
        if value is MISSING or (field.default is not NO_DEFAULT and value == field.default):
            continue
        if field.name == "value" and _is_told(entry, event):
            continue
        entry[field.name] = (
            base64.b64encode(redactor.binary(value)).decode()
            if isinstance(value, bytes)
            else _bounded(redactor.value(value), cuts)
        )
    if "text" in entry and "value" in entry and _same(_parsed(entry["text"]), entry["value"]):
        del entry["value"]
    elif "text" in entry and isinstance(event, Frame | Exchange) and event.value is MISSING:
        entry["value_missing"] = True
    return entry


def _is_told(entry: dict[str, Any], event: Event) -> bool:
    """Whether the value of an event is what its text says, which had nothing to hide: then the text is enough."""
    text = getattr(event, "text", None)
    return bool(text) and entry.get("text") == text and _same(_parsed(text), getattr(event, "value", MISSING))


_fields: Callable[[Any], tuple[Any, ...]] = cache(fields)


def _bounded(value: Any, cuts: list[str]) -> Any:
    match value:
        case str() if len(value) > LONGEST:
            cuts.append(value[:1])
            return value[:LONGEST] + CUT_MARK.format(len(value))
        case dict():
            return {str(k): _bounded(v, cuts) for k, v in value.items()}
        case list():
            return [_bounded(v, cuts) for v in value]
        case None | bool() | int() | float() | str():
            return value
    return str(value)


def _parsed(text: Any) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return MISSING
    return value if is_shallow(value) else MISSING


def _same(left: object, right: object) -> bool:
    """Equal, and of equal types all the way down (1 is not true, and not 1.0)."""
    if left is MISSING or right is MISSING:
        return left is right
    return json.dumps(left) == json.dumps(right)


def _event(entry: dict[str, Any]) -> Event:
    given = dict(entry)
    kind = _KINDS[given.pop("event")]
    without = given.pop("value_missing", False)
    if "binary" in given:
        given["binary"] = base64.b64decode(given["binary"], validate=True)
    if "text" in given and "value" not in given and not without:
        given["value"] = _parsed(given["text"])
    return kind(**given)  # type: ignore[no-any-return]


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise SavedError(f"{path} cannot be read: {error.strerror or error}") from None
    if len(content) > LARGEST_FILE:
        raise SavedError(f"{path} is not a saved case: it is larger than {LARGEST_FILE // 2**20} MiB")
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        raise SavedError(f"{path} is not a saved case: it is not JSON") from None
    if not is_shallow(document, 2 * DEEPEST):
        raise SavedError(f"{path} is not a saved case: it is nested too deeply")
    if not isinstance(document, dict):
        raise SavedError(f"{path} is not a saved case: it holds no JSON object")
    return document


def _written(path: Path, content: bytes) -> Path:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".saving-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return path


@cache
def _fallback() -> Path:
    """A directory of our own, where the current one cannot be written to."""
    return Path(tempfile.mkdtemp(prefix="conformance-"))


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST_NUMBER


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_texts(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(v, str) for v in value.values())


def _is_anything(_: object) -> bool:
    return True


_HEAD: Final[dict[str, Check]] = {
    "case": _is_text,
    "seed": _is_count,
    "target": _is_text,
    "level": _is_text,
    "epoch": _is_number,
    "end": _is_number,
}
_FIELDS: Final[dict[str, Check]] = {
    "seq": _is_count,
    "at": _is_number,
    "ended": _is_number,
    "operation": lambda v: v is None or _is_text(v),
    "under_base": _is_flag,
    "query": _is_texts,
    "request_headers": _is_texts,
    "headers": _is_texts,
    "request": _is_anything,
    "value": _is_anything,
    "value_missing": _is_flag,
    "status": _is_count,
    "direction": lambda v: v in ("to_server", "to_client"),
    "text": lambda v: v is None or _is_text(v),
    "code": lambda v: v is None or _is_count(v),
    "batch": lambda v: v is None or _is_count(v),
    "data": lambda v: isinstance(v, dict),
}
"""What a field of an event must be; those not named here are texts."""


def _first_error(document: dict[str, Any]) -> str:
    """What is wrong with a document, or an empty string."""
    if name := next((n for n, fits in _HEAD.items() if not fits(document.get(n))), ""):
        return f"at /{name} there is nothing, or something else than expected"
    contract = document.get("contract")
    if not (isinstance(contract, dict) and _is_text(contract.get("version")) and _is_text(contract.get("digest"))):
        return "at /contract there is no version and digest"
    if "script" in document and (odd := first_error(document["script"])):
        return f"its script is none: {odd}"
    terms = document.get("terms")
    known = {f.name: _is_text if f.name == "level" else _is_number for f in fields(Terms)}
    if not isinstance(terms, dict) or not all(n in known and known[n](v) for n, v in terms.items()):
        return "at /terms there is something else than expected"
    if not isinstance(document.get("events"), list):
        return "at /events there is no list"
    wrong = ((i, _wrong_field(entry)) for i, entry in enumerate(document["events"]))
    return next(
        (f"at /events/{i}{name} there is nothing, or something else than expected" for i, name in wrong if name), ""
    )


def _wrong_field(entry: object) -> str:
    """The pointer of the field of an event that is missing, unknown or of the wrong type; empty when there is none."""
    if not isinstance(entry, dict) or entry.get("event") not in list(_KINDS):
        return "/event"
    parts = fields(_KINDS[entry["event"]])
    known = {part.name for part in parts} | {"event", "value_missing"}
    needed = {"event"} | {p.name for p in parts if p.default is NO_DEFAULT and p.default_factory is NO_DEFAULT}
    if odd := sorted(set(entry) - known) or sorted(needed - set(entry)):
        return f"/{odd[0]}"
    return next((f"/{n}" for n, v in entry.items() if not _FIELDS.get(n, _is_text)(v)), "")
