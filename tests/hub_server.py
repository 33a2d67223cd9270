"""A model hub on this machine: the few addresses, headers and habits that downloads rely on.

Large files are answered as the hub does: their HEAD carries `X-Linked-Etag` and `X-Linked-Size` and
leads to another host (here another name of the same one), where ranges can be asked for.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_LARGE = (".pth", ".safetensors", ".bin")

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """What the hub holds, how it behaves, and what it was asked for.

    Attributes:
        files: content by `owner/name/file`.
        port: where it listens.
        break_after: bytes after which a connection breaks, for each that is still to break.
        pause: seconds between two pieces of a large file.
        piece: their size in bytes.
        ranges: whether a part of a file can be asked for.
        claims: sizes that it claims, by address.
        fetched: address and first byte of each file that was asked for.
        listed: further file names that it claims a repository has.
        tags: of every repository.
        asked: repositories that were described.
        commit: the version of every repository.
        private: repositories that nobody sees without credentials.
        gated: repositories that everybody sees listed, and whose files take credentials.
        credentials: what came with each request, empty for none.
    """

    files: dict[str, bytes]
    port: int = 0
    break_after: list[int] = field(default_factory=list)
    pause: float = 0.0
    piece: int = 65536
    ranges: bool = True
    claims: dict[str, int] = field(default_factory=dict)
    fetched: list[tuple[str, int]] = field(default_factory=list)
    listed: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    commit: str = COMMIT
    private: list[str] = field(default_factory=list)
    gated: list[str] = field(default_factory=list)
    credentials: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def serve(files: dict[str, bytes]) -> Iterator[Hub]:
    """Start a hub with these files."""
    hub = Hub(files)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.port = server.server_port
    # Looks often whether it is to end: half a second a test is a minute in all.
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _answer(self, *, body: bool) -> None:
        self.hub.credentials.append(self.headers.get("Authorization", ""))
        if described := re.fullmatch(r"/api/models/([^/]+/[^/?]+)\?blobs=[Tt]rue", self.path):
            self._describe(described[1])
            return
        asked = re.fullmatch(r"/(cdn/)?([^/]+/[^/]+)/resolve/[^/]+/(.+)", self.path)
        name = f"{asked[2]}/{asked[3]}" if asked else ""
        if asked and not asked[1] and self._closed(asked[2], self.hub.gated):
            self._send(401, {"X-Error-Code": "GatedRepo"})
        elif asked and not asked[1] and self._closed(asked[2], self.hub.private):
            self._send(401, {"X-Error-Code": "RepoNotFound"})
        elif asked is None or name not in self.hub.files:
            self._send(404, {"X-Error-Code": "EntryNotFound"})
        elif name.endswith(_LARGE) and not asked[1]:
            content = self.hub.files[name]
            self._send(
                302,
                {
                    "Location": f"http://localhost:{self.hub.port}/cdn{self.path}",
                    "X-Repo-Commit": self.hub.commit,
                    "X-Linked-Etag": f'"{hashlib.sha256(content).hexdigest()}"',
                    "X-Linked-Size": str(self.hub.claims.get(name, len(content))),
                },
            )
        else:
            self._file(name, body=body)

    def _closed(self, repo: str, repos: list[str]) -> bool:
        return repo in repos and "Authorization" not in self.headers

    def _describe(self, repo: str) -> None:
        """Answer what a repository holds, as the hub's interface for programs does."""
        self.hub.asked.append(repo)
        sizes: dict[str, int] = {
            name.removeprefix(f"{repo}/"): self.hub.claims.get(name, len(content))
            for name, content in self.hub.files.items()
            if name.startswith(f"{repo}/")
        }
        if not sizes or self._closed(repo, self.hub.private):
            self._send(404, {"X-Error-Code": "RepoNotFound"})
            return
        files = [
            {"rfilename": name, "size": size}
            for name, size in (sizes | dict.fromkeys(self.hub.listed, 1)).items()
        ]
        told = {"id": repo, "sha": self.hub.commit, "private": False, "tags": self.hub.tags}
        body = json.dumps(told | {"siblings": files}).encode()
        self._send(200, {"Content-Type": "application/json"}, len(body))
        self.wfile.write(body)

    def _file(self, name: str, *, body: bool) -> None:
        content = self.hub.files[name]
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(wanted[1]) if wanted and self.hub.ranges else 0
        headers = {
            "X-Repo-Commit": self.hub.commit,
            "ETag": f'"{hashlib.sha1(content).hexdigest()}"',
        }
        if wanted and self.hub.ranges:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self._send(206 if "Content-Range" in headers else 200, headers, len(content) - start)
        if body:
            self.hub.fetched.append((name, start))
            with suppress(ConnectionError):  # a download that was stopped hangs up
                self._body(content[start:], large=name.endswith(_LARGE))

    def _body(self, content: bytes, *, large: bool) -> None:
        limit = self.hub.break_after.pop(0) if large and self.hub.break_after else len(content)
        at = 0
        while at < min(limit, len(content)):
            # Asked for anew each time: a test may change them while the file is on its way.
            piece = self.hub.piece if large else len(content)
            self.wfile.write(content[at : min(at + piece, limit)])
            at += piece
            time.sleep(self.hub.pause if large else 0.0)
        if limit < len(content):
            self.close_connection = True

    def _send(self, status: int, headers: dict[str, str], length: int = 0) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
