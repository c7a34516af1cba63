"""Batch jobs: stored readings in, an artifact out. The only room that imports torch."""
