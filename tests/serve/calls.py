"""A server in a process of its own, on a free port of this machine, and requests to it as bytes."""

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass


@contextmanager
def serving(folder, *options, stop=signal.SIGTERM, before=""):
    """The port of ``preceptor serve``, which is stopped in any case and must end with 0."""
    code = f"{before}\nfrom preceptor.cli.main import main\nmain()"
    command = [sys.executable, "-c", code, "serve", str(folder), "--port", "0", *map(str, options)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=folder
    )
    try:
        line = process.stdout.readline()
        assert "http://127.0.0.1:" in line, line + process.stderr.read()
        yield int(line.split("127.0.0.1:")[1].split("/")[0])
        process.send_signal(stop)
        out, error = process.communicate(timeout=15)
        assert (process.returncode, out, error) == (0, "stopped.\n", "")
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@dataclass
class Answer:
    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


def call(port, method="POST", path="/predict", body=b"", headers=None, parts=(), wait=10):
    """Send a request, its body whole or in chunks, and read the answer; one that comes early ends the sending."""
    given = {"host": f"127.0.0.1:{port}", "connection": "close", "content-length": str(len(body)), **(headers or {})}
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in given.items() if v is not None)
    with socket.create_connection(("127.0.0.1", port), timeout=wait) as connection:
        connection.sendall(head.encode() + b"\r\n" + body)
        for part in parts:
            connection.sendall(f"{len(part):x}\r\n".encode() + part + b"\r\n")
            connection.setblocking(False)
            try:
                if connection.recv(1, socket.MSG_PEEK):
                    break
            except BlockingIOError:
                pass
            finally:
                connection.settimeout(wait)
        return answer_of(connection)


def answer_of(connection):
    with connection.makefile("rb") as lines:
        first = lines.readline()
        headers = {}
        while (line := lines.readline().strip()) != b"":
            name, value = line.decode().split(": ", 1)
            headers[name.lower()] = value
        return Answer(int(first.split()[1]), headers, lines.read(int(headers.get("content-length", -1))))
