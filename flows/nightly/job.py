"""Job `nightly`: `hold_night` under the name of its command, which the wing's face has for the flow."""

from headstart.flows.nightly.flow import hold_night

nightly = hold_night
