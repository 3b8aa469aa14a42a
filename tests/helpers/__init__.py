"""What tests share: networks, netlists, simulators, and how much is tried."""
