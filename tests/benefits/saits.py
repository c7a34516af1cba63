"""SAITS of PyPOTS (Du et al., 2023) fills series in: python saits.py GIVEN.npz MADE.npz, where PyPOTS is installed.

Windows of 64 ticks, sizes and epochs as PyPOTS's own examples have them, stopped by a validation set.
"""

import sys

import numpy as np

STEPS, STRIDE = 64, 16


def cut(values: np.ndarray, stride: int) -> np.ndarray:
    """Windows [B, T, C]; the last one ends with the series."""
    firsts = [*range(0, max(len(values) - STEPS, 0), stride), max(len(values) - STEPS, 0)]
    return np.stack([values[first : first + STEPS] for first in firsts])


def main() -> None:
    """Fit once, fill every array that has gaps."""
    from pypots.imputation import SAITS

    with np.load(sys.argv[1]) as given:
        arrays = dict(given)
    learn, scale = arrays.pop("learn"), arrays.pop("scale")
    mean = learn.mean(axis=0)
    windows = cut((learn - mean) / scale, STRIDE).astype(np.float32)
    split = max(int(0.9 * len(windows)), 1)
    held_out = windows[split:] if split < len(windows) else windows
    gaps = held_out.copy()
    gaps[np.random.default_rng(0).random(gaps.shape) < 0.3] = np.nan
    model = SAITS(
        n_steps=STEPS, n_features=learn.shape[1], n_layers=2, d_model=128, n_heads=4, d_k=32, d_v=32, d_ffn=128,
        dropout=0.1, epochs=40, patience=6, batch_size=32, device="cpu",
    )  # fmt: skip
    model.fit({"X": windows[:split]}, {"X": gaps, "X_ori": held_out})
    made = {}
    for name, values in arrays.items():
        scaled = ((values - mean) / scale).astype(np.float32)
        found = model.impute({"X": cut(scaled, STEPS)})
        whole = np.concatenate(list(found[:-1]))
        rest = len(values) - len(whole)
        made[name] = np.concatenate([whole, found[-1][len(found[-1]) - rest :]]) * scale + mean
    np.savez(sys.argv[2], **made)


if __name__ == "__main__":
    main()
