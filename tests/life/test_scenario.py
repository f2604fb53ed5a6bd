"""Two hundred devices live their lives, and each ends where the published behaviour says.

The devices run the agent's real code and talk TLS to the real gateway; an administrator talks to the real API. Only the
clock is moved by hand: it runs for more than a year.
"""

from __future__ import annotations

import pytest
from tests.life.arriving import arrive
from tests.life.leaving import leave
from tests.life.ledger import Ledger
from tests.life.office import set_up
from tests.life.scope import be_in_scope
from tests.life.staying import stay
from tests.support.life import Life


@pytest.mark.timeout(900)
def test_two_hundred_devices_live_their_lives(life: Life) -> None:
    office, ledger = set_up(life), Ledger()
    arrive(life, office, ledger)
    be_in_scope(life, office, ledger)
    stay(life, office, ledger)
    leave(life, office, ledger)
    ledger.show()
    assert sum(ledger.lives.values()) >= 200
