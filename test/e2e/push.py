#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A connection in which the one that was asked speaks.

push.py serve PORT                  to everybody who connects, or sends a datagram, a byte every few
                                    milliseconds
push.py read ADDRESS PORT [udp]     reads; prints "open", and ends when told to (0), when it could not
                                    connect or nothing came for four seconds (1)
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


def push_datagrams(port):
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as server:
        server.bind(("::", int(port)))
        readers = {server.recvfrom(64)[1]}
        server.setblocking(False)
        while True:
            for reader in readers:
                try:
                    server.sendto(b"x", reader)
                except OSError:
                    pass
            try:
                readers.add(server.recvfrom(64)[1])
            except BlockingIOError:
                time.sleep(0.003)
            except OSError:
                pass


def serve(port):
    threading.Thread(target=push_datagrams, args=(port,), daemon=True).start()
    with socket.create_server(("::", int(port)), family=socket.AF_INET6, dualstack_ipv6=True) as server:
        while True:
            threading.Thread(target=push, args=server.accept()[:1], daemon=True).start()


def connect(address, port, kind):
    if kind == "tcp":
        return socket.create_connection((address, int(port)), timeout=4)
    connection = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    connection.settimeout(4)
    connection.connect((address, int(port)))
    connection.send(b"x")
    connection.recv(64)
    return connection


def read(address, port, kind="tcp"):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with connect(address, port, kind) as connection:
            print("open", flush=True)
            while connection.recv(4096):
                pass
    except OSError as error:
        print(error, flush=True)
    sys.exit(1)


{"serve": serve, "read": read}[sys.argv[1]](*sys.argv[2:])
