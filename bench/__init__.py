"""What the gateway costs: load, baselines and measurements; run by `make bench`."""
