"""Uses of an autoencoder beside finding anomalies, on stored readings: embed, clean, impute, generate."""
