"""Validation names the field, and says what is allowed there."""

from __future__ import annotations

from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.support import policies as p

from shieldwall.catalog.model import Catalog
from shieldwall.catalog.validate import Finding, InvalidPolicyError, check, validate, validate_reusable
from shieldwall.contract.ids import SettingId, TemplateId
from shieldwall.contract.settings import (
    ChoiceSetting,
    ChoiceValue,
    GroupCollectionSetting,
    GroupSetting,
    GroupValue,
    PolicyDocument,
    SettingInstance,
    SimpleKind,
    SimpleSetting,
    SimpleValue,
    ValueTemplate,
)

TYPE = f"{p.EXCLUSIONS}_item_$type"
PATH = f"{p.EXCLUSIONS}_item_path"


def findings(*settings: SettingInstance, template: TemplateId = p.ANTIVIRUS) -> tuple[Finding, ...]:
    return validate(p.catalog(), template, "linux", "microsoftSense", settings)


def firewall(*rules: tuple[SettingInstance, ...]) -> tuple[Finding, ...]:
    return findings(p.items(p.RULES, *rules), template=p.FIREWALL_RULES)


def test_a_good_policy_has_no_findings() -> None:
    assert (
        findings(
            p.choice(p.LEVEL, "_0"),
            p.number(p.RETENTION, 180),
            p.texts(p.FILE_SYSTEMS, "nfs", "fuse"),
            p.items(
                p.EXCLUSIONS,
                (
                    p.choice(
                        TYPE, "_0", p.choice(f"{p.EXCLUSIONS}_item_isdirectory", "_true"), p.text(PATH, "/srv/data")
                    ),
                ),
                (p.choice(TYPE, "_1", p.text(f"{p.EXCLUSIONS}_item_extension", "log")),),
                (p.choice(TYPE, "_2", p.text(f"{p.EXCLUSIONS}_item_name", "/usr/sbin/mysqld")),),
            ),
        )
        == ()
    )


@given(p.documents())
def test_what_the_strategies_make_is_valid_but_for_templates(documents: list[PolicyDocument]) -> None:
    for document in documents:
        codes = {finding.code for finding in findings(*document.settings)}
        assert codes <= {"notInTemplate"}  # tags belong to another template


@pytest.mark.parametrize(
    ("settings", "path", "code", "allowed"),
    [
        ((p.text("unheard_of", "x"),), "settings[0].definition", "unknownSetting", ""),
        ((p.items(p.TAGS),), "settings[0].definition", "notInTemplate", "top of a policy"),
        ((p.text(PATH, "/srv"),), "settings[0].definition", "notInTemplate", f"Inside {TYPE}_0."),
        ((p.text(p.LEVEL, "real_time"),), "settings[0]", "wrongKind", "choice"),
        ((p.choice(p.LEVEL, "_4"),), "settings[0].value", "unknownOption", f"{p.LEVEL}_3"),
        ((p.choice(p.LEVEL, "_0"), p.choice(p.LEVEL, "_0")), "settings[1]", "duplicateSetting", "Once"),
        ((p.number(p.RETENTION, 0),), "settings[0].value", "outOfRange", "1 to 180"),
        ((p.number(p.RETENTION, 181),), "settings[0].value", "outOfRange", "1 to 180"),
        ((p.number(p.RETENTION, True),), "settings[0].value", "wrongType", "integer"),
        ((p.text(p.RETENTION, "7"),), "settings[0].value", "wrongType", "integer"),
        (
            (p.texts(p.ENGINE + "disallowedthreatactions", "allow", "quit"),),
            "settings[0].values[1]",
            "notAllowed",
            "restore",
        ),
        ((p.texts(p.FILE_SYSTEMS, "a\nb"),), "settings[0].values[0]", "invalidCharacter", "Visible"),
        ((p.texts(p.FILE_SYSTEMS, "a\x00b"),), "settings[0].values[0]", "invalidCharacter", "Visible"),
        ((p.texts(p.FILE_SYSTEMS, "a\ud800b"),), "settings[0].values[0]", "invalidCharacter", "Visible"),
        ((p.texts(p.FILE_SYSTEMS, "a\u202eb"),), "settings[0].values[0]", "invalidCharacter", "Visible"),
        ((p.texts(p.FILE_SYSTEMS, "a\u00adb"),), "settings[0].values[0]", "invalidCharacter", "Visible"),
        ((p.texts(p.FILE_SYSTEMS, "a\u180eb"),), "settings[0].values[0]", "invalidCharacter", "Visible"),
        ((p.texts(p.FILE_SYSTEMS, "a\U000e0041b"),), "settings[0].values[0]", "invalidCharacter", "Visible"),
        ((p.texts(p.FILE_SYSTEMS, "a\u3164b"),), "settings[0].values[0]", "invalidCharacter", "Visible"),
        ((p.texts(p.FILE_SYSTEMS, "a\u115fb"),), "settings[0].values[0]", "invalidCharacter", "Visible"),
        ((p.texts(p.FILE_SYSTEMS, "a\u034fb"),), "settings[0].values[0]", "invalidCharacter", "Visible"),
        ((p.texts(p.FILE_SYSTEMS, "x" * 87_517),), "settings[0].values[0]", "wrongLength", "87516"),
        ((p.texts(p.FILE_SYSTEMS, "nfs", "nfs"),), "settings[0].values[1]", "duplicateItem", "Once"),
        ((p.texts(p.FILE_SYSTEMS, *map(str, range(601))),), "settings[0]", "wrongCount", "0 to 600"),
        ((p.items(p.EXCLUSIONS, ()),), "settings[0].values[0]", "missingSetting", TYPE),
        (
            (p.items(p.EXCLUSIONS, (p.choice(TYPE, "_0"),)),),
            "settings[0].values[0].children[0]",
            "missingSetting",
            PATH,
        ),
        (
            (p.items(p.EXCLUSIONS, (p.choice(TYPE, "_1", p.text(PATH, "/srv")),)),),
            "settings[0].values[0].children[0].children[0].definition",
            "misplacedSetting",
            f"Inside {TYPE}_0.",
        ),
        (
            (p.items(p.EXCLUSIONS, p.excluded_path("/srv/a"), p.excluded_path("/srv/a")),),
            "settings[0].values[1]",
            "duplicateItem",
            "Once",
        ),
        (
            (p.items(p.EXCLUSIONS, p.excluded_path("/srv/a"), p.excluded_path("/")),),
            "settings[0].values[1].children[0].children[0].value",
            "dangerousExclusion",
            "narrower",
        ),
        (
            (
                p.items(
                    p.THREAT_TYPES,
                    (p.choice(f"{p.THREAT_TYPES}_item_key", "_0"), p.choice(f"{p.THREAT_TYPES}_item_value", "_0")),
                    (p.choice(f"{p.THREAT_TYPES}_item_key", "_0"), p.choice(f"{p.THREAT_TYPES}_item_value", "_1")),
                ),
            ),
            "settings[0].values[1].children[0]",
            "duplicateItem",
            "Its own",
        ),
    ],
)
def test_a_wrong_field_is_named(settings: tuple[SettingInstance, ...], path: str, code: str, allowed: str) -> None:
    found = findings(*settings)

    assert [
        (finding.path, finding.code) for finding in found if finding.code != "missingSetting" or code == finding.code
    ] == [(path, code)]
    assert allowed in next(finding for finding in found if finding.code == code).allowed


def test_every_wrong_field_is_found_at_once() -> None:
    found = findings(p.number(p.RETENTION, 0), p.choice(p.LEVEL, "_9"), p.text("unheard_of", "x"))

    assert [finding.path for finding in found] == ["settings[0].value", "settings[1].value", "settings[2].definition"]


def test_the_frame_of_a_policy_must_fit_its_template() -> None:
    def frame(template: str, platforms: str, technologies: str) -> list[tuple[str, str]]:
        found = validate(p.catalog(), TemplateId(template), platforms, technologies, ())
        return [(finding.path, finding.code) for finding in found]

    assert frame("unheard_of", "linux", "microsoftSense") == [("templateId", "unknownTemplate")]
    assert frame(p.ANTIVIRUS, "windows10", "microsoftSense") == [("platforms", "platformMismatch")]
    assert frame(p.ANTIVIRUS, "linux", "mdm,microsoftSense") == [("technologies", "technologiesMismatch")]
    assert frame(p.ANTIVIRUS, "linux", "mdm") == [("technologies", "technologiesMismatch")]
    assert frame(p.ANTIVIRUS, "linux", "microsoftSense") == []


def test_other_spellings_of_technologies_are_taken_where_the_template_knows_them() -> None:
    catalog = p.catalog()
    template = replace(
        catalog.template(p.ANTIVIRUS),
        technologies="mdm,microsoftSense",
        other_technologies=("mdm,appleRemoteManagement",),
    )
    other = Catalog(version="1", definitions=catalog.definitions, templates=MappingProxyType({p.ANTIVIRUS: template}))

    for technologies in ("mdm,microsoftSense", "microsoftSense,mdm", "appleRemoteManagement,mdm"):
        assert validate(other, p.ANTIVIRUS, "linux", technologies, ()) == ()
    assert validate(other, p.ANTIVIRUS, "linux", "mdm", ()) != ()


def test_what_this_channel_does_not_deliver_is_refused() -> None:
    catalog = p.catalog()
    template = replace(catalog.template(p.ANTIVIRUS), supported=False)
    level = replace(catalog.definition(p.LEVEL), supported=False)
    other = Catalog(
        version="1",
        definitions=MappingProxyType({**catalog.definitions, p.LEVEL: level}),
        templates=MappingProxyType({p.ANTIVIRUS: template}),
    )

    found = validate(other, p.ANTIVIRUS, "linux", "microsoftSense", (p.choice(p.LEVEL, "_0"),))

    assert [finding.code for finding in found] == ["unsupportedTemplate", "unsupportedSetting"]


def test_a_required_setting_of_a_template_must_be_there() -> None:
    catalog = p.catalog()
    template = catalog.template(p.DETECTION)
    strict = replace(template, settings=(replace(template.settings[0], required=True),))
    other = Catalog(version="1", definitions=catalog.definitions, templates=MappingProxyType({p.DETECTION: strict}))

    (finding,) = validate(other, p.DETECTION, "linux", "microsoftSense", ())

    assert (finding.path, finding.code) == ("settings", "missingSetting")


def test_a_policy_has_a_greatest_size() -> None:
    rules = [p.firewall_rule(f"rule {number}") for number in range(1000)]

    (finding,) = firewall(*rules)

    assert finding.code == "tooManySettings"
    assert [finding.code for finding in firewall(*rules[:151])] == ["wrongCount", *["blocksEverything"] * 151]


def test_references_to_templates_are_taken_as_exports_carry_them() -> None:
    offered = p.catalog().template(p.ANTIVIRUS_EXCLUSIONS).setting(p.EXCLUSIONS)
    assert offered is not None
    ancestor = ValueTemplate(id="36e5e1d5-d1dd-4a4a-9b3a-000000000000", use_default=False)

    def exported(template: str | None, nested: ValueTemplate | None) -> tuple[Finding, ...]:
        path = SimpleSetting(
            definition=SettingId(PATH),
            value=SimpleValue(kind="string", value="/srv/data", template=nested),
            template=nested.id if nested else None,
        )
        kind = ChoiceSetting(
            definition=SettingId(TYPE), value=ChoiceValue(value=f"{TYPE}_0", children=(path,), template=nested)
        )
        group = GroupCollectionSetting(
            definition=p.EXCLUSIONS, values=(GroupValue(children=(kind,), template=nested),), template=template
        )
        return findings(group, template=p.ANTIVIRUS_EXCLUSIONS)

    assert exported(None, None) == ()
    assert exported(offered.instance_template, ancestor) == ()
    (finding,) = exported("00000000-0000-4000-8000-000000000000", None)
    assert (finding.path, finding.code) == ("settings[0].template", "wrongTemplateReference")


def test_a_reusable_setting_is_checked_by_itself() -> None:
    group = SettingId("linux_shieldwall_addressgroup")

    def found(*members: SettingInstance, definition: SettingId = group) -> list[tuple[str, str]]:
        instance = GroupSetting(definition=definition, value=GroupValue(children=members))
        return [(finding.path, finding.code) for finding in validate_reusable(p.catalog(), instance)]

    assert found(p.texts(f"{group}_addresses", "192.0.2.0/24")) == []
    assert found() == [("settingInstance", "missingSetting")]
    assert found(p.texts(f"{group}_addresses", "any")) == [
        ("settingInstance.children[0].values[0]", "invalidAddress"),
    ]
    assert found(definition=p.EXCLUSIONS) == [("settingInstance.definition", "notReusable")]
    assert found(definition=SettingId("unheard_of")) == [("settingInstance.definition", "unknownSetting")]


def test_check_raises_with_all_findings() -> None:
    settings = (p.number(p.RETENTION, 0), p.choice(p.LEVEL, "_9"))

    with pytest.raises(InvalidPolicyError, match=r"settings\[0\].value.*And 1 more") as raised:
        check(p.catalog(), p.ANTIVIRUS, "linux", "microsoftSense", settings)

    assert raised.value.code == "invalidPolicy"
    assert len(raised.value.findings) == 2
    check(p.catalog(), p.ANTIVIRUS, "linux", "microsoftSense", ())


PROTOCOL = f"{p.RULES}_item_protocol"
LOCAL_PORTS = f"{p.RULES}_item_localports"
REMOTE_PORTS = f"{p.RULES}_item_remoteports"
REMOTE = f"{p.RULES}_item_remoteaddresses"
LOCAL = f"{p.RULES}_item_localaddresses"
TCP, UDP = p.choice(PROTOCOL, "_tcp"), p.choice(PROTOCOL, "_udp")
OUT = p.choice(f"{p.RULES}_item_direction", "_out")


def test_good_firewall_rules_have_no_findings() -> None:
    assert (
        firewall(
            p.firewall_rule("ssh", "allow", TCP, p.texts(LOCAL_PORTS, "22", "8000-8010", "1", "65535")),
            p.firewall_rule("no telnet", "block", TCP, p.texts(LOCAL_PORTS, "23")),
            p.firewall_rule("a network", "block", p.texts(REMOTE, "10.0.0.0/8", "2001:db8::/32", "192.0.2.1")),
            p.firewall_rule("a range", "block", p.texts(REMOTE, "192.0.2.1-192.0.2.9", "2001:db8::1-2001:db8::9")),
            p.firewall_rule("everything", "allow"),
            p.firewall_rule(
                "one resolver", "block", UDP, OUT, p.texts(REMOTE_PORTS, "53"), p.texts(REMOTE, "192.0.2.1")
            ),
            p.firewall_rule("off", "block", p.choice(f"{p.RULES}_item_enabled", "_0")),
        )
        == ()
    )


@pytest.mark.parametrize("text", ["0", "65536", "22-", "-22", "23-22", "0-5", "1-65536", "a", "", "22 ", "٢٢", "1-2-3"])
def test_a_bad_port_is_refused(text: str) -> None:
    (finding,) = firewall(p.firewall_rule("rule", "allow", TCP, p.texts(LOCAL_PORTS, "22", text)))

    assert finding.path == "settings[0].values[0].children[3].values[1]"
    assert finding.code in {"invalidPort", "wrongLength"}
    assert finding.allowed


@pytest.mark.parametrize(
    "text",
    [
        *(
            "10.0.0.1/8",
            "10.0.0.0/33",
            "10.0.0.0/255.0.0.0",
            "10.0.0",
            "010.0.0.1",
            "300.0.0.1",
            "10.0.0.0/",
            "host.example",
        ),
        *(
            "fe80::1%eth0",
            "fe80::/10%eth0",
            "2001:db8::1/129",
            "2001:db8:::1",
            "10.0.0.9-10.0.0.1",
            "10.0.0.1-2001:db8::1",
            "::1-10.0.0.1",
        ),
        *("10.0.0.1-10.0.0.2-10.0.0.3", "10.0.0.0/8-10.0.0.9", "1", "", "*", "any", " 10.0.0.1"),
    ],
)
def test_a_bad_address_is_refused(text: str) -> None:
    (finding,) = firewall(p.firewall_rule("rule", "allow", p.texts(REMOTE, "192.0.2.1", text)))

    assert finding.path == "settings[0].values[0].children[2].values[1]"
    assert finding.code in {"invalidAddress", "wrongLength"}
    assert finding.allowed


@pytest.mark.parametrize("kind", ["secret", "reference", "integer"])
def test_a_text_is_of_no_other_kind(kind: SimpleKind) -> None:
    instance = SimpleSetting(definition=SettingId(f"{p.RULES}_item_name"), value=SimpleValue(kind=kind, value="a name"))

    (finding,) = firewall((instance, p.choice(f"{p.RULES}_item_action", "_allow")))

    assert (finding.path, finding.code) == ("settings[0].values[0].children[0].value", "wrongType")


def test_a_bad_address_is_not_taken_for_every_address() -> None:
    (finding,) = firewall(p.firewall_rule("rule", "block", p.texts(REMOTE, "10.0.0.0/33")))

    assert finding.code == "invalidAddress"


@pytest.mark.parametrize("protocol", [None, "_any", "_icmp"])
def test_ports_need_tcp_or_udp(protocol: str | None) -> None:
    others = () if protocol is None else (p.choice(PROTOCOL, protocol),)

    (finding,) = firewall(p.firewall_rule("rule", "allow", p.texts(LOCAL_PORTS, "22"), *others))

    assert (finding.path, finding.code) == ("settings[0].values[0].children[2]", "notTogether")
    assert f"{PROTOCOL}_tcp or {PROTOCOL}_udp" in finding.allowed


def test_names_of_rules_are_unique_in_a_policy() -> None:
    (finding,) = firewall(p.firewall_rule("ssh", "allow"), p.firewall_rule("ssh", "allow", TCP))

    assert (finding.path, finding.code) == ("settings[0].values[1].children[0]", "duplicateItem")


@pytest.mark.parametrize("name", ["", "x" * 129, "a\nb"])
def test_a_bad_name_is_refused(name: str) -> None:
    (finding,) = firewall(p.firewall_rule(name, "allow"))

    assert finding.path == "settings[0].values[0].children[0].value"


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ((), "blocksEverything"),
        ((OUT,), "blocksEverything"),
        ((TCP,), "blocksEverything"),
        ((TCP, p.texts(LOCAL_PORTS, "1-65535")), "blocksEverything"),
        ((UDP, p.texts(REMOTE_PORTS, "1-100", "101-65535")), "blocksEverything"),
        ((p.texts(REMOTE, "0.0.0.0/0"),), "blocksEverything"),
        ((p.texts(REMOTE, "0.0.0.0/1", "128.0.0.0/1"),), "blocksEverything"),
        ((p.texts(REMOTE, "0.0.0.0-255.255.255.255"),), "blocksEverything"),
        ((p.texts(LOCAL, "::/0", "192.0.2.1"),), "blocksEverything"),
        ((p.texts(REMOTE, "1.0.0.0-126.255.255.255", "128.0.0.0-223.255.255.255"),), "blocksEverything"),
        ((OUT, p.texts(REMOTE, "2000::/3", "fc00::/7")), "blocksEverything"),
        ((p.texts(REMOTE, "127.0.0.1"),), "blocksLoopback"),
        ((p.texts(LOCAL, "10.0.0.0-130.0.0.0"),), "blocksLoopback"),
        ((p.texts(LOCAL, "::1"),), "blocksLoopback"),
        ((UDP, OUT, p.texts(REMOTE_PORTS, "53")), "blocksNameResolution"),
        ((TCP, OUT, p.texts(REMOTE_PORTS, "22", "50-60")), "blocksNameResolution"),
    ],
)
def test_a_rule_that_cuts_the_device_off_is_refused(members: tuple[SettingInstance, ...], code: str) -> None:
    (finding,) = firewall(p.firewall_rule("rule", "block", *members))

    assert (finding.path, finding.code) == ("settings[0].values[0]", code)
    assert firewall(p.firewall_rule("rule", "allow", *members)) == ()


@pytest.mark.parametrize(
    "members",
    [
        (p.choice(PROTOCOL, "_icmp"),),
        (TCP, p.texts(LOCAL_PORTS, "1-65534")),
        (UDP, p.texts(REMOTE_PORTS, "1-100", "102-65535")),
        (p.texts(REMOTE, "0.0.0.0/2"),),
        (UDP, p.texts(REMOTE_PORTS, "53")),
        (UDP, OUT, p.texts(REMOTE_PORTS, "54")),
        (UDP, OUT, p.texts(LOCAL_PORTS, "53")),
    ],
)
def test_a_rule_that_leaves_something_is_taken(members: tuple[SettingInstance, ...]) -> None:
    assert firewall(p.firewall_rule("rule", "block", *members)) == ()


HALVES = ("0.0.0.0-126.255.255.255", "128.0.0.0/1")


@pytest.mark.parametrize(("first", "second"), [(OUT, OUT), (p.choice(PROTOCOL, "_any"), TCP)])
def test_rules_that_together_cut_the_device_off_are_refused(first: SettingInstance, second: SettingInstance) -> None:
    rules = [
        p.firewall_rule(name, "block", member, p.texts(REMOTE, half))
        for name, member, half in zip(("one", "two"), (first, second), HALVES, strict=True)
    ]
    (finding,) = firewall(*rules)

    assert (finding.path, finding.code) == ("settings[0].values[1]", "blocksEverything")
    assert [firewall(each) for each in rules] == [(), ()]


def test_halves_of_different_things_are_no_whole() -> None:
    one = p.firewall_rule("one", "block", OUT, p.texts(REMOTE, HALVES[0]))

    assert firewall(one, p.firewall_rule("two", "block", p.texts(REMOTE, HALVES[1]))) == ()
    assert firewall(one, p.firewall_rule("two", "allow", OUT, p.texts(REMOTE, HALVES[1]))) == ()
    assert firewall(one, p.firewall_rule("two", "block", OUT, TCP, p.texts(REMOTE, "128.0.0.0/2"))) == ()


@given(st.text(max_size=60))
def test_any_text_as_port_or_address_gives_findings_and_never_an_error(text: str) -> None:
    found = firewall(p.firewall_rule("rule", "block", TCP, p.texts(LOCAL_PORTS, text), p.texts(REMOTE, text)))

    assert all(finding.code and finding.message for finding in found)
