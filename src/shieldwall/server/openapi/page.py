"""The document for people: every route by resource, found by words, as one page that needs no script."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

_METHODS: Final = ("get", "post", "put", "patch", "delete")
_VERSIONS: Final = ("/v1.0", "/beta")
_MOST_WORDS: Final = 8
_REFERENCE: Final = "#/components/schemas/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A named thing and what is known of it: a parameter, an answer, a member of a schema."""

    name: str
    kind: str
    meaning: str
    links: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One route; those of Graph are there under each version."""

    anchor: str
    method: str
    path: str
    versions: tuple[str, ...]
    summary: str
    description: str
    ours: bool
    permissions: tuple[str, ...]
    parameters: tuple[Line, ...]
    body: tuple[Line, ...]
    answers: tuple[Line, ...]

    @property
    def words(self) -> str:
        """What a search looks at."""
        named = (line.name for line in (*self.parameters, *self.body, *self.answers))
        links = (link for line in (*self.body, *self.answers) for link in line.links)
        parts = (self.method, self.path, self.summary, self.description, *self.permissions, *named, *links)
        return " ".join(parts).lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The routes of one resource."""

    name: str
    meaning: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True, kw_only=True)
class Page:
    """What the page shows; ``showing`` renders it."""

    title: str
    version: str
    introduction: tuple[str, ...]
    groups: tuple[Group, ...]
    schemas: tuple[tuple[str, str, tuple[Line, ...]], ...]
    environment: Environment = field(repr=False)

    def showing(self, words: str) -> bytes:
        """Render the page: all of it, or the routes that have every one of the words."""
        return self._whole if not words.strip() else self._rendered(words[:128])

    @cached_property
    def _whole(self) -> bytes:
        return self._rendered("")

    def _rendered(self, words: str) -> bytes:
        sought = words.lower().split()[:_MOST_WORDS]
        groups = [
            Group(name=group.name, meaning=group.meaning, entries=entries)
            for group in self.groups
            if (entries := tuple(each for each in group.entries if all(word in each.words for word in sought)))
        ]
        shown = {
            link
            for group in groups
            for each in group.entries
            for line in (*each.body, *each.answers)
            for link in line.links
        }
        template = self.environment.get_template("api.html")
        return template.render(
            page=self, groups=groups, words=words, count=sum(len(group.entries) for group in groups), shown=shown
        ).encode()


def create_page(document: Mapping[str, Any]) -> Page:
    """Make the page of a document."""
    environment = Environment(
        loader=PackageLoader("shieldwall.server.openapi"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["codes"] = _codes
    reading = _Reading(document)
    return Page(
        title=document["info"]["title"],
        version=document["info"]["version"],
        introduction=tuple(_paragraphs(document["info"]["description"])),
        groups=reading.groups(),
        schemas=tuple(reading.schemas()),
        environment=environment,
    )


class _Reading:
    """Reads a document into what the page shows."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document

    def groups(self) -> tuple[Group, ...]:
        entries: dict[tuple[str, str, str], Entry] = {}
        for path, methods in self._document["paths"].items():
            version = next((each for each in _VERSIONS if path.startswith(f"{each}/")), "")
            shown = path.removeprefix(version)
            for method in _METHODS:
                if method in methods:
                    key = (methods[method]["tags"][0], shown, method)
                    earlier = entries[key].versions if key in entries else ()
                    entries[key] = self._entry(shown, method, methods[method], (version, *earlier) if version else ())
        return tuple(
            Group(
                name=tag["name"],
                meaning=tag["description"],
                entries=tuple(entry for (group, _, _), entry in entries.items() if group == tag["name"]),
            )
            for tag in self._document["tags"]
        )

    def schemas(self) -> Iterator[tuple[str, str, tuple[Line, ...]]]:
        for name, schema in self._document["components"]["schemas"].items():
            required = {*schema.get("required", ()), *schema.get("x-shieldwall-always", ())}
            members = tuple(
                Line(
                    name=member,
                    kind=_kind(each) + ("" if member in required else ", may be absent"),
                    meaning=_meaning(each),
                    links=tuple(_links(each)),
                )
                for member, each in schema.get("properties", {}).items()
            )
            if not members:
                members = (Line(name="", kind=_kind(schema), meaning="", links=tuple(_links(schema))),)
            yield name, schema.get("description", ""), members

    def _entry(self, path: str, method: str, operation: Mapping[str, Any], versions: tuple[str, ...]) -> Entry:
        return Entry(
            anchor=re.sub(r"[^A-Za-z0-9]+", "-", f"{method}{path}").strip("-"),
            method=method.upper(),
            path=path,
            versions=versions,
            summary=operation["summary"],
            description=operation.get("description", ""),
            ours="x-shieldwall-ours" in operation,
            permissions=tuple(operation.get("x-shieldwall-permissions", ())),
            parameters=tuple(map(self._parameter, operation.get("parameters", ()))),
            body=self._content(operation["requestBody"]) if "requestBody" in operation else (),
            answers=tuple(self._answers(operation["responses"])),
        )

    def _parameter(self, parameter: Mapping[str, Any]) -> Line:
        found = self._found(parameter)
        return Line(name=found["name"], kind=f"{found['in']}, {_kind(found['schema'])}", meaning=found["description"])

    def _answers(self, responses: Mapping[str, Any]) -> Iterator[Line]:
        for status, response in responses.items():
            found = self._found(response)
            content = self._content(found)
            yield Line(
                name=status,
                kind=", ".join(line.name for line in content) or "no body",
                meaning=found["description"],
                links=tuple(dict.fromkeys(link for line in content for link in line.links)),
            )

    def _content(self, holder: Mapping[str, Any]) -> tuple[Line, ...]:
        return tuple(
            Line(name=media_type, kind=_kind(each["schema"]), meaning="", links=tuple(_links(each["schema"])))
            for media_type, each in holder.get("content", {}).items()
        )

    def _found(self, value: Mapping[str, Any]) -> Mapping[str, Any]:
        if "$ref" not in value:
            return value
        found: Any = self._document
        for part in value["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        assert isinstance(found, Mapping), "a document that refers to nothing is never made"
        return found


def _kind(schema: Mapping[str, Any]) -> str:
    """Say in a few words what a value is."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(_kind(each) for each in schema[several]))
    if "const" in schema:
        return str(schema["const"])
    if "enum" in schema:
        return " | ".join("null" if word is None else str(word) for word in schema["enum"])
    kinds = schema.get("type", "anything")
    named = " or ".join([kinds] if isinstance(kinds, str) else kinds)
    if "items" in schema:
        return f"list of {_kind(schema['items'])}"
    return f"{named} ({schema['format']})" if "format" in schema else named


def _meaning(schema: Mapping[str, Any]) -> str:
    return str(schema.get("description", "")) + (" Read-only." if schema.get("readOnly") else "")


def _links(value: Any) -> Iterator[str]:
    """Find the schemas that a schema names."""
    if isinstance(value, Mapping):
        reference = value.get("$ref")
        if isinstance(reference, str):
            yield reference.removeprefix(_REFERENCE)
        for each in value.values():
            yield from _links(each)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for each in value:
            yield from _links(each)


def _paragraphs(text: str) -> Iterator[str]:
    for line in text.splitlines():
        if line.strip():
            yield line.strip().removeprefix("* ")


def _codes(text: str) -> list[tuple[bool, str]]:
    """Take a text apart at its backquotes: whether a part is code, and the part."""
    return [(number % 2 == 1, part) for number, part in enumerate(text.split("`")) if part]
