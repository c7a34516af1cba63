"""StreamAE learns what normal looks like from a topic of sensor readings, and tells you on another when it is not."""
