# SPDX-License-Identifier: Apache-2.0
"""bulk.py sink ADDRESS PORT | send ADDRESS PORT BYTES: how long many bytes over TCP take. The sink
prints "ready", then the seconds from the connection to its end."""
import socket
import sys
import time


def sink(address, port):
    with socket.create_server((address, int(port))) as server:
        print("ready", flush=True)
        connection, _ = server.accept()
        begin = time.monotonic()
        while connection.recv(1 << 16):
            pass
        print(time.monotonic() - begin, flush=True)


def send(address, port, size):
    with socket.create_connection((address, int(port)), timeout=20) as connection:
        connection.sendall(b"x" * int(size))


{"sink": sink, "send": send}[sys.argv[1]](*sys.argv[2:])
