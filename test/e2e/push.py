#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A connection in which the one that was asked speaks.

push.py serve PORT           to everybody who connects, a byte every few milliseconds
push.py read ADDRESS PORT    reads; prints "open", and ends when told to (0), when it could not connect
                             or nothing came for four seconds (1)
"""
import signal
import socket
import sys
import threading
import time


def push(connection):
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            connection.send(b"x")
            time.sleep(0.003)
    except OSError:
        connection.close()


def serve(port):
    with socket.create_server(("::", int(port)), family=socket.AF_INET6, dualstack_ipv6=True) as server:
        while True:
            threading.Thread(target=push, args=server.accept()[:1], daemon=True).start()


def read(address, port):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with socket.create_connection((address, int(port)), timeout=4) as connection:
            print("open", flush=True)
            while connection.recv(4096):
                pass
    except OSError as error:
        print(error, flush=True)
    sys.exit(1)


{"serve": serve, "read": read}[sys.argv[1]](*sys.argv[2:])
