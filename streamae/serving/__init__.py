"""The consumer service: readings in, alerts out, in transactions."""
