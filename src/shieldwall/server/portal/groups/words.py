"""The words of groups: why devices join and leave, what may stand in a rule."""

from __future__ import annotations

from typing import Final

from shieldwall.policy.rule_completion import Part
from shieldwall.policy.rule_tree import KINDS, Kind, Operator, Quantifier
from shieldwall.server.portal.language import marked
from shieldwall.server.storage.records import MembershipCause

CAUSES: Final = {
    MembershipCause.ADDED: marked("somebody added it"),
    MembershipCause.REMOVED: marked("somebody removed it"),
    MembershipCause.RULE_CHANGED: marked("the rule changed"),
    MembershipCause.PROCESSING_RESUMED: marked("the rule is followed again"),
    MembershipCause.DEVICE_REGISTERED: marked("the device was registered"),
    MembershipCause.DEVICE_CHANGED: marked("the device changed"),
    MembershipCause.DEVICE_RETIRED: marked("the device left management"),
    MembershipCause.GROUP_DELETED: marked("the group was deleted"),
}
KIND_WORDS: Final = {
    Kind.TEXT: marked("a text"),
    Kind.FLAG: marked("true or false"),
    Kind.COLLECTION: marked("several texts"),
    Kind.GROUPS: marked("groups it belongs to"),
}
OPERATOR_WORDS: Final = {
    Operator.EQUAL.value: marked("is"),
    Operator.NOT_EQUAL.value: marked("is not"),
    Operator.STARTS_WITH.value: marked("begins with"),
    Operator.NOT_STARTS_WITH.value: marked("does not begin with"),
    Operator.ENDS_WITH.value: marked("ends with"),
    Operator.NOT_ENDS_WITH.value: marked("does not end with"),
    Operator.CONTAINS.value: marked("contains"),
    Operator.NOT_CONTAINS.value: marked("does not contain"),
    Operator.MATCH.value: marked("fits the pattern"),
    Operator.NOT_MATCH.value: marked("does not fit the pattern"),
    Operator.IN.value: marked("is one of"),
    Operator.NOT_IN.value: marked("is none of"),
    Quantifier.ANY.value: marked("has one that"),
    Quantifier.ALL.value: marked("has only such that"),
}
_JOINING_WORDS: Final = {
    "-and": marked("both hold"),
    "-or": marked("one of them holds"),
    "-not": marked("what follows does not hold"),
}
_PART_WORDS: Final = {
    Part.PROPERTY: marked("one value"),
    Part.OPERATOR: "",
    Part.JOINING: "",
    Part.VALUE: marked("a value"),
    Part.MARK: "",
}


def note_of(part: Part, text: str) -> str:
    """Say what a word of a rule means; nothing where it says it itself."""
    kind = KINDS.get(text.removeprefix("device."))
    if part is Part.PROPERTY and kind is not None:
        return KIND_WORDS[kind]
    return OPERATOR_WORDS.get(text) or _JOINING_WORDS.get(text) or _PART_WORDS[part]
