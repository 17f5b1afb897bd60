"""Payload bytes into a container and out of it: bytes in, bytes out, never a file.

    jpeg.insert(jpeg, payload) ─▶ jpeg      jpeg.extract(jpeg) ─▶ payload

A carrier is a module with ``insert``, ``extract`` and ``strip``. Its error texts do not know the
file's name; callers put it in front.
"""

from . import jpeg, sidecar

__all__ = ["jpeg", "sidecar"]
