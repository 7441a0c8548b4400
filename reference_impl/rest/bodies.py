"""What bodies are made of: read as strictly as JSON Schema reads them (VAL-1)."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Body(BaseModel):
    """The base of bodies: camelCase on the wire, no coercion of types, unknown members ignored."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        strict=True, alias_generator=to_camel, extra="ignore", frozen=True, allow_inf_nan=False
    )

    def said(self) -> dict[str, Any]:
        """What was sent, without what was left out, by the names of the fields."""
        return self.model_dump(exclude_unset=True)


def _whole(value: Any) -> Any:
    """In JSON 5.0 is an integer too."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


PositiveCount = Annotated[int, Field(ge=1, le=2**53 - 1), BeforeValidator(_whole)]
PositiveAmount = Annotated[float, Field(gt=0)]
Name = Annotated[str, Field(min_length=1, max_length=100)]
Text = Annotated[str, Field(min_length=1)]
