"""The bars that the whole product is held to. Each appears in the table, with a figure or without."""

from __future__ import annotations

from typing import Final

from benchmarks.figures import Bar

CHECK_IN_TO_NGINX: Final = Bar(1.25, of_ratio=True, key="full check-in, CPU to nginx answering 204 over TLS")
CHECK_IN_TO_CFENGINE: Final = Bar(1 / 5, of_ratio=True, key="check-in without news, CPU to CFEngine's")
CHECK_IN_TO_PUPPET: Final = Bar(1 / 100, of_ratio=True, key="check-in without news, CPU to a catalog of Puppet Server")
ACKS_PER_FSYNC: Final = Bar(10, at_least=True, key="durable acknowledgements per fsync under load")
RULE_CHANGE_MEDIAN: Final = Bar(10, key="rule changed, 1,000,000 devices: median, ms")
RULE_CHANGE_P95: Final = Bar(50, key="rule changed, 1,000,000 devices: 95th percentile, ms")
ALL_COUNTS: Final = Bar(5, key="report over HTTP, 1,000,000 devices: all counts, ms")
ANY_SLICE: Final = Bar(20, key="report over HTTP, 1,000,000 devices: any slice, ms")
WHOLE_STATE: Final = Bar(0.5, key="whole state of 1,000,000 devices, GB")
CHECK_INS_SHARE: Final = Bar(15, key="185 check-ins a second, 1,000,000 devices there: % of a core")
HERD: Final = Bar(10, key="everybody of 1,000,000 devices returns: minutes until all are served")
HERD_LOST: Final = Bar(0, key="everybody returns: reports lost, answers 5xx other than 503")
GOODPUT: Final = Bar(
    0.8, at_least=True, of_ratio=True, key="everybody returns: served a second, to what is served without a crowd"
)
KILLS_LOST: Final = Bar(0, key="killed under load: acknowledged reports lost")
KILLS_BACK: Final = Bar(5, key="killed under load: seconds until it serves again")
AGENT_MEMORY: Final = Bar(40, key="agent and applier at rest: MiB")
AGENT_SHARE: Final = Bar(0.1, key="agent and applier at rest: % of a core")
AGENT_CHECK_IN: Final = Bar(50, key="agent: check-in without news, ms CPU")
SIMULATED: Final = Bar(10_000, at_least=True, key="core simulator: device-hours lived through in a minute of CPU")

ALL: Final = (
    CHECK_IN_TO_NGINX,
    CHECK_IN_TO_CFENGINE,
    CHECK_IN_TO_PUPPET,
    ACKS_PER_FSYNC,
    RULE_CHANGE_MEDIAN,
    RULE_CHANGE_P95,
    ALL_COUNTS,
    ANY_SLICE,
    WHOLE_STATE,
    CHECK_INS_SHARE,
    HERD,
    HERD_LOST,
    GOODPUT,
    KILLS_LOST,
    KILLS_BACK,
    AGENT_MEMORY,
    AGENT_SHARE,
    AGENT_CHECK_IN,
    SIMULATED,
)
