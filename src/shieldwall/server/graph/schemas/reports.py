"""Tables, questions and files of reports (``graph.reports``), and lists of what is not here."""

from __future__ import annotations

from typing import Final

from shieldwall.server.graph.schemas.resource import resource
from shieldwall.server.openapi.description import Answer
from shieldwall.server.openapi.shapes import (
    ADDRESS,
    ANYTHING,
    COUNT,
    MOMENT,
    NOTHING,
    TEXT,
    Component,
    Schema,
    list_of,
    nullable,
    record,
    said,
    text,
    word,
)

OCTETS: Final = "application/octet-stream"
TABLE: Final = Component(
    "ReportTable",
    record(
        {
            "TotalRowCount": COUNT,
            "Schema": list_of(record({"Column": TEXT, "PropertyType": word("String", "Int32", "DateTime")})),
            "Values": said(list_of(list_of(ANYTHING)), "Rows, each with its values in the order of the schema."),
            "SessionId": TEXT,
            "AsOf": said(MOMENT, "Of which moment it counts (ours): large fleets are counted in memory."),
        },
        optional=["AsOf"],
        meaning="A report, as JSON that is called a stream of octets.",
    ),
)
TABLE_ANSWER: Final = Answer(status=200, meaning="The table.", content={OCTETS: TABLE})
CACHED_REPORT: Final = resource(
    "CachedReportConfiguration",
    {
        "id": TEXT,
        "reportName": TEXT,
        "filter": TEXT,
        "select": list_of(TEXT),
        "orderBy": list_of(TEXT),
        "metadata": nullable(TEXT),
        "status": word("completed"),
        "lastRefreshDateTime": MOMENT,
        "expirationDateTime": MOMENT,
    },
    meaning="A question that is kept; its answer is read anew each time.",
)
EXPORT_JOB: Final = resource(
    "ExportJob",
    {
        "id": TEXT,
        "reportName": TEXT,
        "filter": TEXT,
        "select": list_of(TEXT),
        "search": nullable(TEXT),
        "format": word("csv", "json"),
        "localizationType": word("localizedValuesAsAdditionalColumn", "replaceLocalizableValues"),
        "snapshotId": NOTHING,
        "status": word("completed"),
        "url": said(nullable(ADDRESS), "Where the file is: needs no credentials, and ends with the job."),
        "requestDateTime": MOMENT,
        "expirationDateTime": MOMENT,
    },
    meaning="A report as a file, written when it is fetched.",
)
ABSENT: Final = resource("Absent", {}, key=None, meaning="What there is none of on this channel.")
FILTERS_STATE: Final = Component("AssignmentFilterState", record({"enabled": {"type": "boolean"}}))
FILTER_VERDICT: Final = Component("AssignmentFilterVerdict", record({"isValidRule": {"type": "boolean"}}))
FILTER_PROPERTIES: Final = Component(
    "AssignmentFilterProperties",
    record(
        {
            "value": list_of(
                record(
                    {
                        "name": TEXT,
                        "dataType": word("String", "Boolean"),
                        "isCollection": {"type": "boolean"},
                        "propertyRegexConstraint": NOTHING,
                        "supportedOperators": list_of(TEXT),
                        "supportedValues": list_of(TEXT),
                    }
                )
            )
        },
        meaning="What a rule can speak of, and by which operators.",
    ),
)
FILTER_PAYLOADS: Final = Component(
    "AssignmentFilterPayloads",
    record(
        {
            "value": list_of(
                record(
                    {
                        "payloadId": TEXT,
                        "payloadType": TEXT,
                        "groupId": nullable(TEXT),
                        "assignmentFilterType": word("none", "include", "exclude"),
                    }
                )
            )
        },
        meaning="The policies whose assignments a filter narrows.",
    ),
)


def _number_sent(digits: int) -> Schema:
    """Describe a number as scripts send it: as such, or as a text."""
    return {"anyOf": [nullable(COUNT), text(pattern=f"^[0-9]{{0,{digits}}}$")]}


_RULE: Final[dict[str, Schema]] = {"platform": TEXT, "rule": text(maxLength=3_072)}
_NAMES: Final = nullable(list_of(TEXT))
_ASKED: Final[dict[str, Schema]] = {
    "name": nullable(TEXT),
    "select": _NAMES,
    "search": nullable(TEXT),
    "groupBy": _NAMES,
    "orderBy": _NAMES,
    "skip": _number_sent(8),
    "top": _number_sent(5),
    "sessionId": nullable(TEXT),
    "filter": nullable(TEXT),
}
RULE_SENT: Final = Component(
    "AssignmentFilterRule",
    record(
        {
            "deviceAndAppManagementAssignmentFilter": record(
                {
                    **_RULE,
                    "displayName": nullable(TEXT),
                    "description": nullable(TEXT),
                    "roleScopeTags": nullable(list_of(TEXT)),
                    "assignmentFilterManagementType": nullable(TEXT),
                },
                optional=["displayName", "description", "roleScopeTags", "assignmentFilterManagementType"],
            )
        }
    ),
)
EVALUATION: Final = Component(
    "AssignmentFilterEvaluation",
    record({"data": record({**_RULE, **_ASKED}, optional=_ASKED, meaning="A rule, and what is asked of the table.")}),
)
