"""Retraining: on a schedule, one registered result per scheduled time; a worse model never takes over."""
