"""The API asked as its description allows, and as it does not: schemathesis makes the requests, and judges the answers.

The application is the whole one, in this process. Whatever a path names is there, so that requests get beyond 404. What
a description cannot say, its code for a refusal tells: a request that fits the schema may still mean what cannot be,
but it is never refused for its shape.
"""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import CheckContext
from schemathesis.config import ChecksConfig, GenerationConfig, ProjectConfig, ProjectsConfig, SchemathesisConfig
from schemathesis.config._checks import NegativeDataRejectionConfig
from schemathesis.core.transport import Response
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.support.admin import PUBLIC_URL, AdminWorld
from tests.support.api_seeds import Seeds


def is_no_failure(_context: CheckContext, response: Response, _case: schemathesis.Case[Any]) -> bool | None:
    """Find failures inside the server; 501 and 503 are described where they are honest answers."""
    assert response.status_code != 500, "the server failed"
    return None


_ALWAYS: Final[list[Any]] = [
    is_no_failure,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    ignored_auth,
]
_SHAPE: Final = frozenset({"invalidJson", "invalidQuery", "unsupportedMediaType", "invalidMachineQuery"})
"""Codes of refusals that a schema can foresee."""
_OF_JSON: Final = re.compile(r"outside ±|half of a surrogate|nests deeper|got `float`|not finite|NUL")
"""What is refused of JSON itself (RFC 7493, and whole numbers with a fraction), of which no schema can speak."""
OPAQUE: Final = frozenset({"$filter", "$orderby", "$search", "$select", "$expand", "$skiptoken", "$deltatoken"})
"""Parameters with a grammar or a secret of their own: a schema cannot tell a good one."""
_PARAMETER: Final = re.compile(r"\{(\w+)\}")
SEED: Final = int(os.environ.get("FUZZ_SEED", "20261126"))
"""Where the requests begin: the same every time, unless somebody wants others."""


def shape_is_accepted(_context: CheckContext, response: Response, case: schemathesis.Case[Any]) -> bool | None:
    """Find requests that fit the description and are refused for their shape."""
    if response.status_code == 400 and "json" in str(response.headers.get("content-type")):
        refused = json.loads(response.content)["error"]
        code = refused["innerError"]["code"] if isinstance(refused, dict) else "oauth"
        in_body = code == "invalidQuery" and case.method != "GET"  # a question with a grammar of its own
        foreseen = code in _SHAPE and not in_body and not _OF_JSON.search(refused["message"])
        assert not foreseen, f"{case.formatted_path} fits the description: {refused['message']}"
    return None


@dataclass(frozen=True, kw_only=True)
class Fuzzing:
    """Asks one world through one token."""

    world: AdminWorld
    token: str
    seeds: Seeds
    document: dict[str, Any]
    examples: int

    def operations(self, prefixes: tuple[str, ...]) -> Iterator[tuple[str, str]]:
        """Yield method and path of everything to be asked for."""
        for path, methods in self.document["paths"].items():
            if path.startswith(prefixes):
                yield from ((method, path) for method in methods)

    def as_allowed(self, method: str, path: str) -> None:
        """Ask for what the description allows, with the parameters that a schema can describe."""
        self._ask(method, path, GenerationMode.POSITIVE, [*_ALWAYS, shape_is_accepted], without=OPAQUE)

    def with_anything(self, method: str, path: str) -> None:
        """Ask with all parameters, whatever stands in them."""
        self._ask(method, path, GenerationMode.POSITIVE, list(_ALWAYS))

    def as_forbidden(self, method: str, path: str) -> None:
        """Ask for what the description forbids."""
        self._ask(method, path, GenerationMode.NEGATIVE, [*_ALWAYS, negative_data_rejection])

    def _ask(
        self, method: str, path: str, mode: GenerationMode, checks: list[Any], *, without: frozenset[str] = frozenset()
    ) -> None:
        operation = self._operation(method, path, without)
        if operation is None:
            return
        named = {name: self.seeds.id_of(name, path) for name in _PARAMETER.findall(path)}
        strategy = operation.as_strategy(mode, path_parameters={name: each for name, each in named.items() if each})

        @seed(SEED)
        @settings(
            max_examples=self.examples,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=strategy)
        def ask(case: schemathesis.Case[Any]) -> None:
            case.call_and_validate(
                base_url=PUBLIC_URL,
                headers={"Authorization": f"Bearer {self.token}"},
                app=self.world.application,
                checks=checks,
            )

        # Where nothing is left to be wrong, nothing can be forbidden.
        with suppress(Unsatisfiable):
            ask()

    def _operation(self, method: str, path: str, without: frozenset[str]) -> Any:
        """Return one operation alone; ``None`` where nothing of the kind can be asked."""
        document = {**self.document, "paths": {path: {method: copy.deepcopy(self.document["paths"][path][method])}}}
        described = document["paths"][path][method]
        described["parameters"] = [
            each for each in described.get("parameters", ()) if self._followed(each)["name"] not in without
        ]
        generation = GenerationConfig(allow_x00=False, allow_extra_parameters=False, with_security_parameters=False)
        checks = ChecksConfig(
            negative_data_rejection=NegativeDataRejectionConfig(expected_statuses=["4xx", "501"]),  # 412 comes first
        )
        config = SchemathesisConfig(
            projects=ProjectsConfig(default=ProjectConfig(generation=generation, checks=checks)), seed=SEED
        )
        return schemathesis.openapi.from_dict(document, config=config)[path][method.upper()]

    def _followed(self, value: dict[str, Any]) -> dict[str, Any]:
        if "$ref" not in value:
            return value
        found: Any = self.document
        for part in value["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return dict(found)
