# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A server that takes collections as Ansible Galaxy does, on this machine only, for rehearsals and tests.

It has the three addresses that ``ansible-galaxy collection publish`` asks: what it offers, where an archive is sent,
and how the import went. It keeps what arrived, and imports nothing.
"""

from __future__ import annotations

import contextlib
import dataclasses
import email.message
import email.parser
import email.policy
import hashlib
import http.server
import json
import threading
import typing as t

_UPLOADS = "/api/v3/artifacts/collections/"
_IMPORT = "/api/v3/imports/collections/1/"


@dataclasses.dataclass
class Upload:
    """What arrived: the token, the name and the bytes of the archive, and the checksum that was announced for them."""

    token: str
    filename: str
    content: bytes
    announced: str

    @property
    def is_whole(self) -> bool:
        """Whether the bytes have the checksum that was announced."""
        return hashlib.sha256(self.content).hexdigest() == self.announced


class StandIn(http.server.ThreadingHTTPServer):
    """The server. It takes uploads with the right ``token``. If there is a ``failure``, it is why each import fails."""

    def __init__(self, token: str, failure: str = "") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.token = token
        self.failure = failure
        self.uploads: list[Upload] = []
        self.refused = 0

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_address[1]}/"


@contextlib.contextmanager
def running(token: str, failure: str = "") -> t.Iterator[StandIn]:
    """Yield a server that answers until the block ends."""
    server = StandIn(token, failure)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    server: StandIn

    def do_GET(self) -> None:
        if self.path in ("/api/", "/api"):
            self._answer(200, {"available_versions": {"v3": "v3/"}})
        elif self.path.rstrip("/") != _IMPORT.rstrip("/"):
            self._answer(404, {"errors": [{"detail": "Not found."}]})
        elif self._is_allowed():
            self._answer(200, self._import())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path != _UPLOADS:
            self._answer(404, {"errors": [{"detail": "Not found."}]})
        elif self._is_allowed():
            self.server.uploads.append(_decoded(self.headers["Content-Type"], body, self.server.token))
            self._answer(202, {"task": _IMPORT})

    def log_message(self, format: str, *args: t.Any) -> None:
        """Print nothing: ansible-galaxy says what it does."""

    def _is_allowed(self) -> bool:
        if self.headers["Authorization"] == f"Token {self.server.token}":
            return True
        self.server.refused += 1
        self._answer(401, {"errors": [{"detail": "Invalid token.", "code": "not_authenticated"}]})
        return False

    def _import(self) -> dict[str, t.Any]:
        done = {"finished_at": "2026-12-01T00:00:00Z", "messages": []}
        if self.server.failure:
            return {**done, "state": "failed", "error": {"code": "invalid", "description": self.server.failure}}
        return {**done, "state": "completed"}

    def _answer(self, status: int, document: dict[str, t.Any]) -> None:
        text = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


def _decoded(content_type: str, body: bytes, token: str) -> Upload:
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    parts = {part.get_param("name", header="content-disposition"): part for part in message.iter_parts()}
    return Upload(
        token=token,
        filename=str(parts["file"].get_filename()),
        content=_bytes_of(parts["file"]),
        announced=_bytes_of(parts["sha256"]).decode().strip(),
    )


def _bytes_of(part: email.message.Message) -> bytes:
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes), "only a multipart has other payloads"
    return content
