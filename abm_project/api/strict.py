"""Serializers that take what they name, in its own type, and nothing else."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.validators import ProhibitSurrogateCharactersValidator

from abm_project.api.parsing import refuse_chunks
from accounts.domains import normalize_domain_from_url

OPTIONAL: dict[str, Any] = {"required": False, "allow_null": True, "default": None}


class Strict(serializers.Serializer[Any]):
    """What is not understood is refused, never ignored in silence."""

    def to_internal_value(self, data: Any) -> Any:
        unknown = set(data) - set(self.fields) if hasattr(data, "keys") else set()
        if unknown:
            raise serializers.ValidationError(dict.fromkeys(sorted(unknown), "There is no such field."), "unknown")
        return super().to_internal_value(data)


class Text(serializers.CharField):
    """A string, never a number made into one; null and absent are ''.

    The parser has refused halves of characters already; Django REST framework would look at every one again, in Python.
    """

    def __init__(self, max_length: int, **options: Any) -> None:
        optional = {"required": False, "allow_blank": True, "allow_null": True, "default": ""}
        super().__init__(**({} if options.get("required") else optional), max_length=max_length, **options)
        self.validators = [v for v in self.validators if not isinstance(v, ProhibitSurrogateCharactersValidator)]
        self._is_plain = type(self) is Text and not options.keys() & {"validators", "min_length", "trim_whitespace"}

    def run_validation(self, data: Any = serializers.empty) -> Any:
        if type(data) is str and self._is_plain and "\0" not in data:
            text = data.strip()
            if 0 < len(text) <= self.max_length:  # as nearly all do; what does not fit goes the whole way to its error
                return text
        return super().run_validation("" if data is None and not self.required else data)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Whole(serializers.IntegerField):
    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int:
            self.fail("invalid")
        return super().to_internal_value(data)


class Flag(serializers.BooleanField):
    """true or false, and not "yes" or 1."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class Choice(serializers.ChoiceField):
    """One of the names, as a string."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid_choice", input=data)
        return str(super().to_internal_value(data))


class Domain(serializers.CharField):
    """A domain, or an address of a page of it; canonical."""

    def to_internal_value(self, data: Any) -> str:
        domain = normalize_domain_from_url(super().to_internal_value(data))
        if domain is None:
            raise serializers.ValidationError("This is no domain.", "invalid")
        return domain


def valid(serializer: serializers.Serializer[Any]) -> dict[str, Any]:
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


def sent(request: Request) -> Any:
    """The body. One in chunks has no length, and Django REST framework would take it for empty."""
    refuse_chunks(request.META)
    return request.data
