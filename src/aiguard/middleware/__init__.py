"""What the ASGI and WSGI middleware have in common: which rule applies, what headers mean, and what may pass of a body.

The law of this room: **it decides and never waits**. Bytes and headers go in; bytes, headers, records and refusals come
out. Reading, sending and committing is done by the two doors, so both give the same decisions and the same bytes.
"""

from __future__ import annotations
