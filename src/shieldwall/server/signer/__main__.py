"""Run the signer."""

import sys

from shieldwall.server.signer.process import main

sys.exit(main())
