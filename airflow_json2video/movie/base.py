"""The base class of all Movie JSON objects, which can be built in two ways.

* **A constructor** is for authors: ``TextElement(text="Hi", z_index=2)``. Names are Python names. An unknown name is a
  ``TypeError`` at that line, a wrong value a ``pydantic.ValidationError``.
* **A document** is read by ``from_document`` (or pydantic's ``model_validate``). Keys are those of the API's JSON
  (``z-index``), unknown keys are preserved, and ``z_index`` *is* an unknown key, as it is for the service.

``to_document`` returns the input: the same keys in the same order, the same values, nothing added.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, ClassVar, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from airflow_json2video.movie.findings import Finding, Severity, format_path, invalid_movie
from airflow_json2video.movie.lexer import has_expression
from airflow_json2video.movie.problems import EXPRESSION_SCHEMA, Problem, Purpose, is_empty_object, json_type, refuse

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.functional_validators import ModelWrapValidatorHandler
    from typing_extensions import Self

__all__ = ["ByType", "DocumentModel", "OrExpression", "findings_from_error", "json_keys", "kebab", "prop"]


def kebab(name: str) -> str:
    """Return the JSON key of a Python name: ``fade-in`` for ``fade_in``, ``import`` for ``import_``."""
    return name.rstrip("_").replace("_", "-")


def prop(description: str, *, default: Any = None) -> Any:
    """Declare an optional property: absent unless written.

    :param default: what the *service* uses if it is absent; it is part of the JSON Schema only.
    """
    extra = None if default is None else {"default": default}
    return Field(default=None, description=description, json_schema_extra=extra)


class _Keywords(dict[str, Any]):
    """The arguments of a constructor, which validation distinguishes from a document."""


class _Schema(GenerateJsonSchema):
    """The JSON Schema of documents, without ``null`` as a default: an absent key is absent."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        if schema.get("default", ...) is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)


class DocumentModel(BaseModel):
    """One object of a Movie JSON document.

    Deprecated keys are not part of the constructor and the schema. They are preserved like unknown keys, and ``legacy``
    has the advice for each. ``common_mistakes`` has the advice for keys that authors write and the service ignores.
    """

    model_config = ConfigDict(
        # For type checkers and signatures: authors use Python names only. The unknown keys of a document are stored
        # before pydantic validates it.
        extra="forbid",
        populate_by_name=True,
        alias_generator=kebab,
        protected_namespaces=(),
        validate_assignment=True,
        hide_input_in_errors=True,  # it may be a password
    )

    legacy: ClassVar[Mapping[str, str]] = {}
    common_mistakes: ClassVar[Mapping[str, str]] = {}
    takes_any_key: ClassVar[bool] = False
    always_written: ClassVar[tuple[str, ...]] = ()

    _order: tuple[str, ...] = PrivateAttr(default=())
    _unknown: dict[str, Any] = PrivateAttr(default_factory=dict)

    if not TYPE_CHECKING:  # type checkers make the signature from the fields

        def __init__(self, /, **keywords: Any) -> None:
            fields = type(self).model_fields
            given = _Keywords({name: fields[name].default for name in self.always_written})
            unknown = {}
            for name, value in keywords.items():
                if name in fields:
                    given[name] = value
                elif (field := json_keys(type(self)).get(name)) is not None:
                    given[field] = value
                elif self.takes_any_key:
                    unknown[kebab(name)] = value
                else:
                    raise TypeError(_unexpected(type(self), name))
            self.__pydantic_validator__.validate_python(given, self_instance=self, context=Purpose.AUTHOR)
            self._order = tuple(kebab(name) for name in (*given, *unknown))
            self._unknown = unknown
            if complaint := self._incomplete():
                raise ValueError(f"{type(self).__name__} {complaint}")

        # With this, pydantic validates documents without calling __init__.
        __init__.__pydantic_base_init__ = True

    def _incomplete(self) -> str | None:
        """Return what an author forgot that no single property can detect; None if nothing."""
        return None

    @model_validator(mode="wrap")
    @classmethod
    def _read(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if isinstance(data, _Keywords):
            return handler(dict(data))
        if isinstance(data, cls):
            return handler(data)
        if not isinstance(data, Mapping):
            raise refuse(Problem("wrong-type", f"must be an object, got {json_type(data)}"))
        names = json_keys(cls)
        model = handler({key: value for key, value in data.items() if key in names})
        model._order = tuple(data)
        model._unknown = {key: deepcopy(value) for key, value in data.items() if key not in names}
        return model

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Read a document, or a part of one, as the service does; every key is preserved.

        :param document: decoded JSON.
        :raises InvalidMovie: a value is certainly wrong; lists each with its path. Problems of several values are found
            by :func:`airflow_json2video.movie.check`.
        """
        try:
            return cls.model_validate(document, context=Purpose.READ)
        except ValidationError as error:
            raise invalid_movie(findings_from_error(error), source=f"This {cls.__name__}") from error

    def to_document(self) -> dict[str, Any]:
        """Return the object as decoded JSON: what was read or set, in that order, and nothing else."""
        names = json_keys(type(self))
        written = {kebab(field) for field in self.model_fields_set}
        document: dict[str, Any] = {}
        for key in dict.fromkeys((*self._order, *names, *self._unknown)):
            if key in names:
                if key in written:
                    document[key] = _plain(getattr(self, names[key]))
            elif key in self._unknown:
                document[key] = _plain(self._unknown[key])
        return document

    @property
    def unknown_keys(self) -> dict[str, Any]:
        """The keys of the document that this class does not know, and their values; may be changed."""
        return self._unknown

    @model_serializer(mode="plain")
    def _write(self) -> dict[str, Any]:
        return self.to_document()

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self.to_document() == other.to_document()

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        names = json_keys(type(self))
        for key, value in self.to_document().items():
            field = names.get(key)
            if field == "password":
                yield field, "***"
            else:
                yield (key, value) if field is None else (field, getattr(self, field))

    __hash__ = None  # type: ignore[assignment]

    @classmethod
    def model_json_schema(cls, *args: Any, **options: Any) -> dict[str, Any]:
        """Return the JSON Schema of the documents, for an editor.

        The arguments are those of pydantic's method.
        """
        if len(args) < 3:
            options.setdefault("schema_generator", _Schema)
        return super().model_json_schema(*args, **options)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        described = handler(schema)
        resolved = handler.resolve_ref_schema(described)
        resolved.pop("additionalProperties", None)
        properties = resolved.setdefault("properties", {})
        for key, advice in cls.common_mistakes.items():
            properties[key] = {"not": {}, "description": advice}
        if cls.always_written:
            resolved["required"] = sorted({*resolved.get("required", ()), *cls.always_written})
        return described


_JSON_KEYS: dict[type[BaseModel], dict[str, str]] = {}


def json_keys(model: type[DocumentModel]) -> Mapping[str, str]:
    """Return the Python names of the properties of *model* by their JSON keys, in order of declaration."""
    names = _JSON_KEYS.get(model)
    if names is None:
        names = _JSON_KEYS[model] = {kebab(field): field for field in model.model_fields}
    return names


class OrExpression:
    """Annotates an object or array that may be replaced by a ``{{ expression }}``.

    ``X | dict[str, Any] | str`` allows an author to write a dict, which is read as an X.
    """

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        target = _model_of(source)
        is_object = isinstance(target, type) and issubclass(target, DocumentModel)

        def validate(value: Any, handler: core_schema.ValidatorFunctionWrapHandler) -> Any:
            if isinstance(value, str) and has_expression(value):
                return value
            if is_object and is_empty_object(value):
                handler({})
                return value
            return handler(value)

        return core_schema.no_info_wrap_validator_function(validate, handler.generate_schema(target))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [handler(schema), EXPRESSION_SCHEMA]}


class ByType:
    """Annotates a union of models; *choose* returns the model for an object.

    Pydantic's own discriminated unions refuse unknown types, and add the branch to the path.
    """

    def __init__(self, choose: Callable[[Mapping[str, Any]], type[DocumentModel]]) -> None:
        self._choose = choose

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        # The union itself is used for the JSON Schema only, and not for validation.
        return core_schema.with_info_wrap_validator_function(self._validate, handler(source))

    def _validate(
        self, value: Any, _handler: core_schema.ValidatorFunctionWrapHandler, info: core_schema.ValidationInfo
    ) -> Any:
        if isinstance(value, DocumentModel):
            return value  # checked by type checkers, not here
        if isinstance(value, Mapping):
            return self._choose(value).model_validate(value, context=info.context)
        raise refuse(Problem("wrong-type", f"must be an object, got {json_type(value)}"))


_PLAIN_WORDS = {
    "list_type": ("wrong-type", "must be an array"),
    "dict_type": ("wrong-type", "must be an object"),
}
_EXAMPLES = {
    "angle": "90",
    "color": '"#00b140"',
    "component": '"basic/050"',
    "endpoint": '"https://...", the URL to call',
    "height": "360",
    "host": '"ftp.example.com"',
    "id": '"my-connection"',
    "message": '"See __video_url__"',
    "password": '"...", or the "id" of a dashboard connection instead of all this',
    "port": "21 for ftp, 22 for sftp",
    "src": '"https://...", a public URL',
    "subject": '"Ready: __filename__"',
    "text": '"..."',
    "to": '"team@example.com"',
    "username": '"..."',
    "width": "640",
}


def findings_from_error(error: ValidationError) -> list[Finding]:
    """Return pydantic's errors as findings, with the paths of the document."""
    findings = []
    for detail in error.errors(include_url=False, include_input=False):
        context = detail.get("ctx") or {}
        if detail["type"] == "movie_json":
            severity, code, message = Severity(context["severity"]), context["code"], context["message"]
        elif detail["type"] == "missing":
            severity, code = Severity.ERROR, "missing-property"
            name = str(detail["loc"][-1])
            example = _EXAMPLES.get(name)
            message = f'is required; write "{name}": {example}' if example else "is required"
        else:
            severity = Severity.ERROR
            code, message = _PLAIN_WORDS.get(detail["type"], ("wrong-type", detail["msg"]))
        findings.append(Finding(severity, format_path(detail["loc"]), message, code))
    return findings


def _unexpected(model: type[DocumentModel], name: str) -> str:
    message = f"{model.__name__}() got an unexpected keyword argument {name!r}."
    key = kebab(name)
    if advice := model.legacy.get(key) or model.common_mistakes.get(key) or model.common_mistakes.get(name):
        return f"{message} {advice}"
    near = get_close_matches(name, model.model_fields, 1, 0.7)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"{message}{hint} Keys that this version does not know can be added to .unknown_keys."


def _plain(value: Any) -> Any:
    if isinstance(value, DocumentModel):
        return value.to_document()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _model_of(annotation: Any) -> Any:
    return next(arg for arg in get_args(annotation) if arg is not str and get_origin(arg) is not dict)
