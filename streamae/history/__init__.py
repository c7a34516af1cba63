"""History: what a model says about stored readings; scores, and alerts that would have been."""
