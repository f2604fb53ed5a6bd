"""The words in which the catalog speaks of settings: kinds, rules of merging, what a text means, what is stronger."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """The shape of a setting's value."""

    CHOICE = "choice"
    CHOICE_COLLECTION = "choiceCollection"
    SIMPLE_STRING = "simpleString"
    SIMPLE_INTEGER = "simpleInteger"
    SIMPLE_SECRET = "simpleSecret"  # noqa: S105 - the name of a kind, not a secret
    SIMPLE_STRING_COLLECTION = "simpleStringCollection"
    GROUP = "group"
    GROUP_COLLECTION = "groupCollection"


class Merge(StrEnum):
    """What happens where several policies set one setting to different values."""

    UNION = "union"
    """All items of all policies."""
    MOST_SECURE = "mostSecure"
    """The strongest value; without an order of strength the policy modified last; else nothing."""
    AGREE = "agree"
    """Nothing."""
    MEMBERS = "members"
    """A group with at most one item, whose members are decided one by one by their own rules."""


class Confidence(StrEnum):
    """How well a fact is founded."""

    VERIFIED = "verified"
    PARTLY_DERIVED = "partlyDerived"
    SINGLE_SOURCE = "singleSource"
    UNVERIFIED = "unverified"
    OURS = "ours"


class Tamper(StrEnum):
    """Whether the product's tamper protection holds a setting against weaker values."""

    NO = "no"
    CONDITIONAL = "conditional"
    ALWAYS = "always"


class Syntax(StrEnum):
    """What a text means, where a length and a pattern cannot say it."""

    EXCLUSION_PATH = "exclusionPath"
    EXCLUSION_PATH_LITERAL = "exclusionPathLiteral"
    EXCLUSION_PROCESS = "exclusionProcess"
    EXCLUSION_PROCESS_PATH = "exclusionProcessPath"
    EXCLUSION_EXTENSION = "exclusionExtension"
    WINDOWS_EXCLUSION_PATH = "windowsExclusionPath"
    WINDOWS_EXCLUSION_PROCESS = "windowsExclusionProcess"
    WINDOWS_EXCLUSION_EXTENSION = "windowsExclusionExtension"
    PORT_RANGE = "portRange"
    ADDRESS_RANGE = "addressRange"
    WINDOWS_PORT_RANGE = "windowsPortRange"
    WINDOWS_ADDRESS_RANGE = "windowsAddressRange"
    ICMP_TYPE = "icmpType"
    GUID = "guid"
    REUSABLE_SETTING = "reusableSetting"
    """A reference to a reusable setting, or its id as a text."""


class Direction(StrEnum):
    """Which numbers are stronger."""

    HIGHER = "higher"
    LOWER = "lower"


class Zero(StrEnum):
    """What the number 0 stands for where it is no number: a word for without end, or for never."""

    STRONGEST = "strongest"
    """Without a limit, or for good."""
    WEAKEST = "weakest"
    """Never, or not at all."""


class Lists(StrEnum):
    """Which lists are stronger."""

    FEWER = "fewer"
    """Every item is a hole: exclusions, threats that are allowed."""
    MORE = "more"
    """Every item protects something more."""
    RULES = "rules"
    """Firewall rules: one that blocks protects, one that allows is a hole."""
