"""Retraining: on a schedule, once per scheduled time; a worse model never takes over."""
