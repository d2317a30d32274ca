#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Clients of podfenced --metrics: `get PATH` prints the body ("STATUS body" when it is not 200, exit 1), `flood N`
asks N times, many at once, `slow N SECONDS` holds N connections and sends a byte a second on each. METRICS_PORT, if it
is not 9464."""
import os
import socket
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

ADDRESS = ("127.0.0.1", int(os.environ.get("METRICS_PORT", "9464")))


def get(path):
    try:
        with urllib.request.urlopen(f"http://{ADDRESS[0]}:{ADDRESS[1]}{path}", timeout=3) as answer:
            print(answer.read().decode(), end="")
    except urllib.error.HTTPError as error:
        print(error.code, error.read().decode(), end="")
        sys.exit(1)


def ask(_):
    for attempt in range(3):  # one that is cut off in the crowd asks again
        try:
            with socket.create_connection(ADDRESS, timeout=5) as connection:
                connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
                data = b""
                while piece := connection.recv(65536):
                    data += piece
            if b"podfence_ready" in data:
                return attempt
        except OSError:
            pass
    return None


def flood(count):
    began = time.monotonic()
    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(ask, range(count)))
    good = [answer for answer in answers if answer is not None]
    print(f"{len(good)} of {count} answered in {time.monotonic() - began:.1f} s, {sum(good)} asked again")
    sys.exit(len(good) < count * 0.95)


def slow(count, seconds):
    connections = []
    for _ in range(count):
        connection = socket.create_connection(ADDRESS, timeout=5)
        connections.append(connection)
    for _ in range(seconds):
        for connection in connections:
            try:
                connection.send(b"G")
            except OSError:
                pass
        time.sleep(1)


if __name__ == "__main__":
    if sys.argv[1] == "get":
        get(sys.argv[2])
    elif sys.argv[1] == "flood":
        flood(int(sys.argv[2]))
    else:
        slow(int(sys.argv[2]), int(sys.argv[3]))
