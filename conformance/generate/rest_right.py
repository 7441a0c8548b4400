"""Answers that are plainly right: none of the generator's checks could have anything against them.

Those checks cost more than to send the request. Most answers are the refusal or the resource that was expected, and
can be told at once, by the same schemas; whatever is not plainly right goes to the checks themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.rest_views import is_failure

if TYPE_CHECKING:
    from conformance.contract import Contract, Operation
    from conformance.generate.rest import Made
    from conformance.timeline import Exchange

UNAUTHORIZED, WRONG_METHOD = 401, 405
REFUSALS = frozenset({400, 404})
"""What is right for a request that was made to break the document."""
SERVED = frozenset({200, 201, 202, 404})
"""What is right for one that was made to keep it."""
JSON = "application/json"


def is_plainly_right(contract: Contract, operation: Operation, made: Made, answer: Exchange) -> bool:
    """Whether an answer is what the document says of a request like this one, in status, media type and body."""
    if answer.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        return False
    if made.is_other_method:
        return answer.status == WRONG_METHOD and "allow" in answer.headers and answer.method != "OPTIONS"
    if made.is_without_token:
        right = answer.status == UNAUTHORIZED and answer.headers.get("www-authenticate", "").lower().startswith(
            "bearer"
        )
        return right and contract.shapes.accepts("error.json", answer.value)
    if answer.status not in (SERVED if made.is_positive else REFUSALS) or answer.status not in operation.statuses:
        return False
    if is_failure(answer.value):
        return answer.status in REFUSALS and contract.shapes.accepts("error.json", answer.value)
    schema = operation.answers.get(answer.status, "")
    return bool(schema) and contract.shapes.accepts(schema, answer.value)
