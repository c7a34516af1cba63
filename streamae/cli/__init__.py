"""The command line: one function a command, no logic. Exit codes: 0 done, 1 failed, 2 wrong usage, 70 restart me."""

from __future__ import annotations

import sys

from rich.markup import escape

from streamae.cli import batch, bench, history, live, models, retraining, setup, tuning, uses
from streamae.cli.app import app, deadletters, err
from streamae.cli.app import models as models_app
from streamae.errors import MissingExtra, StreamaeError

__all__ = ["app", "batch", "bench", "history", "live", "main", "models", "retraining", "setup", "tuning", "uses"]

app.add_typer(models_app, name="models")
app.add_typer(deadletters, name="deadletters")

TRAIN = ("torch", "onnx", "onnxscript", "pandas", "pyarrow", "scipy", "sklearn", "threadpoolctl", "matplotlib")
EXTRAS = dict.fromkeys((*TRAIN, "apscheduler"), "train") | {"confluent_kafka": "bench", "onnxruntime": "cpu"}
EXTRAS |= {"kafka": "serve", "prometheus_client": "serve", "optuna": "tune"}


def main() -> None:
    """Run the command line; every error that a user can act on is a line, not a traceback."""
    try:
        app()
    except StreamaeError as error:
        err.print(f"[red]error[/red] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        err.print(
            f"[red]error[/red] this command needs {error.name}: pip install 'streamae\\[{extra}]'", highlight=False
        )
        sys.exit(MissingExtra.exit_code)
