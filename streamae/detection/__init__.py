"""Readings in, alerts out: pure. No Kafka, no torch, no clock, no randomness, no logging, no I/O."""
