"""Registry: the versions of artifacts, and who is champion."""

from streamae.registry.registry import POINTER, Pointer, Promotion, Registry

__all__ = ["POINTER", "Pointer", "Promotion", "Registry"]
