# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real node_exporter, a real Prometheus, a real ansible-rulebook, and web servers that answer as a test wants."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import http.server
import ipaddress
import json
import os
import pathlib
import socket
import ssl
import subprocess
import threading
import time
import typing as t
import urllib.parse
import urllib.request

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from helpers.support import CHECKOUT, inside, run, wait_until

RULEBOOK_PROGRAMS = CHECKOUT / ".work" / "rulebook" / "bin"
"""Those of the environment that tools/setup-rulebook makes."""

MONITORING = CHECKOUT / "extensions" / "monitoring"
RULES = MONITORING / "prometheus" / "conntrack.rules.yml"
DASHBOARD = MONITORING / "grafana" / "conntrack.json"


@contextlib.contextmanager
def background(command: t.Sequence[str], log: pathlib.Path, **options: t.Any) -> t.Iterator[subprocess.Popen[bytes]]:
    """Run ``command`` until the block ends, with its output in ``log``. What it started ends with it."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **options,
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 15)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()


def fetched(url: str) -> str:
    """Return what ``url`` answers. No proxy is asked."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=30) as response:
        return t.cast(bytes, response.read()).decode()


def answers(url: str) -> bool:
    """Return whether ``url`` answers at all."""
    try:
        fetched(url)
    except OSError:
        return False
    return True


@contextlib.contextmanager
def node_exporter(
    netns: str | None, address: str, log: pathlib.Path, *options: str, port: int = 9100
) -> t.Iterator[str]:
    """Run a node_exporter in ``netns`` on ``address``, and yield its URL. Without options it measures the table."""
    collectors = options or ("--collector.conntrack",)
    command = ["prometheus-node-exporter", "--collector.disable-defaults", *collectors]
    command.append(f"--web.listen-address={address}:{port}")
    with background(inside(netns, command), log):
        listening = ["ss", "-Hltn", "sport", "=", f":{port}"]
        wait_until(lambda: run(listening, netns=netns), lambda: f"nobody listens on port {port}: {log.read_text()}")
        yield f"http://{address}:{port}/metrics"


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@dataclasses.dataclass(frozen=True)
class Prometheus:
    """A Prometheus that runs."""

    url: str

    def get(self, path: str, **query: str) -> t.Any:
        """Return the data of an answer of its API."""
        answer = json.loads(fetched(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(query)}"))
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, expression: str) -> list[dict[str, t.Any]]:
        """Return the series of an instant query, each with its labels as ``metric`` and its ``value``."""
        result: list[dict[str, t.Any]] = self.get("query", query=expression)["result"]
        return result

    def firing(self) -> set[tuple[str, str]]:
        """Return the alerts that fire, each with its host or instance."""
        labels = [alert["labels"] for alert in self.get("alerts")["alerts"] if alert["state"] == "firing"]
        return {(each["alertname"], each.get("host", each.get("instance", ""))) for each in labels}


@contextlib.contextmanager
def prometheus(directory: pathlib.Path, targets: t.Mapping[str, str], rules: pathlib.Path) -> t.Iterator[Prometheus]:
    """Run a Prometheus that scrapes ``targets``, by instance, every second and evaluates ``rules`` as often."""
    static = [{"targets": [target], "labels": {"instance": name}} for name, target in targets.items()]
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(rules)],
        "scrape_configs": [{"job_name": "node", "static_configs": static}],
    }
    file = directory / "prometheus.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    run(["promtool", "check", "config", str(file)])
    port = free_port()
    command = ["prometheus", f"--config.file={file}", f"--storage.tsdb.path={directory / 'tsdb'}"]
    command.append(f"--web.listen-address=127.0.0.1:{port}")
    url = f"http://127.0.0.1:{port}"
    with background(command, directory / "prometheus.log"):
        wait_until(lambda: answers(f"{url}/-/ready"), "Prometheus is not ready")
        yield Prometheus(url)


def rulebook_environment(home: pathlib.Path) -> dict[str, str]:
    """Return the environment of somebody who runs ansible-rulebook in ``home`` with the collection of the checkout."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    path = os.pathsep.join([str(RULEBOOK_PROGRAMS), "/usr/sbin", "/usr/bin", "/sbin", "/bin"])
    return {
        **environment,
        "PATH": path,
        "HOME": str(home),
        "PWD": str(home),
        "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".collections"),
        "ANSIBLE_TIMEOUT": "60",
        "ANSIBLE_NOCOLOR": "1",
    }


_POLLER = """
import asyncio, json, runpy, sys
class Queue:
    async def put(self, event):
        print(json.dumps(event), flush=True)
main = runpy.run_path(sys.argv[1])["main"]
asyncio.run(main(Queue(), json.loads(sys.argv[2])))
"""
"""The event source as ansible-rulebook runs it, but without rules: each event is a line."""


@dataclasses.dataclass(frozen=True)
class Polling:
    """An event source that runs."""

    log: pathlib.Path

    @property
    def events(self) -> list[dict[str, t.Any]]:
        """Return the events until now."""
        lines = self.log.read_text(encoding="utf-8").splitlines()
        return [json.loads(line)["conntrack"] for line in lines if line.startswith("{")]

    def wait_for(self, router: str, status: str) -> dict[str, t.Any]:
        """Wait until there is an event of this ``status`` about ``router``, and return the newest one."""

        def found() -> list[dict[str, t.Any]]:
            return [event for event in self.events if (event["router"], event["status"]) == (router, status)]

        event: dict[str, t.Any] = wait_until(found, lambda: f"no {status} of {router}: {self.log.read_text()}")[-1]
        return event


@contextlib.contextmanager
def polling(options: dict[str, t.Any], log: pathlib.Path, netns: str | None = None) -> t.Iterator[Polling]:
    """Run the event source with ``options``, with the Python of ansible-rulebook."""
    source = CHECKOUT / "extensions" / "eda" / "plugins" / "event_source" / "conntrack_pressure.py"
    command = [str(RULEBOOK_PROGRAMS / "python"), "-c", _POLLER, str(source), json.dumps(options)]
    with background(inside(netns, command), log):
        yield Polling(log)


@dataclasses.dataclass
class Received:
    """A request that a server got."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float


@contextlib.contextmanager
def web_server(
    respond: t.Callable[[Received, http.server.BaseHTTPRequestHandler], None],
    address: str = "127.0.0.1",
    tls: ssl.SSLContext | None = None,
) -> t.Iterator[tuple[str, list[Received]]]:
    """Run a server that answers with ``respond``, and yield its URL and the requests that it got."""
    received: list[Received] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            received.append(Received(self.path, dict(self.headers), body, time.monotonic()))
            with contextlib.suppress(OSError):
                respond(received[-1], self)

        do_POST = do_GET

        def log_message(self, format: str, *args: t.Any) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        daemon_threads = True

    server = Server((address, 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    host = f"[{address}]" if ":" in address else address
    try:
        yield f"{'https' if tls else 'http'}://{host}:{server.server_address[1]}", received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def reply(handler: http.server.BaseHTTPRequestHandler, body: str, status: int = 200, **headers: str) -> None:
    """Send an answer."""
    content = body.encode()
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


def self_signed(directory: pathlib.Path) -> tuple[ssl.SSLContext, pathlib.Path]:
    """Return what a server at 127.0.0.1 needs for TLS, and the file with its certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(days=1))
    builder = builder.not_valid_after(now + datetime.timedelta(days=1))
    addresses = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = builder.add_extension(addresses, critical=False).sign(key, hashes.SHA256())
    plain = serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    key_file, file = directory / "key.pem", directory / "certificate.pem"
    key_file.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    file.write_bytes(certificate.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key_file)
    return context, file
