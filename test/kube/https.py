#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A TLS server that does what servers should not, for test/kube/http.c.

https.py FOLDER: makes certificates in the folder, prints NAME=PORT pairs in one line, and serves until
its standard input ends. The path of a request says what comes.
"""
import gzip
import http.server
import json
import os
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time

folder = sys.argv[1]


def path_of(name):
    return os.path.join(folder, name)


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, cwd=folder, capture_output=True)


def authority(name):
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")


def certificate(name, signer, extra):
    with open(path_of(f"{name}.ext"), "w", encoding="ascii") as file:
        file.write(extra)
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
            "-keyout", f"{name}.key", "-out", f"{name}.csr")
    openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{signer}.pem", "-CAkey", f"{signer}.key",
            "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext", "-out", f"{name}.pem")


def make_certificates():
    authority("authority")
    authority("stranger")
    certificate("server", "authority", "subjectAltName=IP:127.0.0.1,IP:::1,DNS:localhost\n")
    certificate("named", "authority", "subjectAltName=DNS:api.podfence.test\n")
    certificate("client", "authority", "extendedKeyUsage=clientAuth\n")
    openssl("ec", "-in", "client.key", "-aes128", "-passout", "pass:secret", "-out", "client-locked.key")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        pass

    def head(self, status, *headers):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()

    def answer(self, body, status=200, *headers):
        self.head(status, ("Content-Type", "application/json"), ("Content-Length", str(len(body))), *headers)
        self.wfile.write(body)

    def hang_up(self):
        self.close_connection = True
        self.wfile.flush()

    def reset(self):
        self.hang_up()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def do_ok(self):
        self.answer(b'{"a":1}\n')

    def do_echo(self):
        size = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(size).decode()
        names = {name.lower(): value for name, value in self.headers.items()}
        self.answer(json.dumps({"method": self.command, "path": self.path, "headers": names, "body": body,
                                "server_name": getattr(self.connection, "asked_name", None)}).encode())

    def do_redirect(self):
        self.answer(b"", 302, ("Location", "/ok"))

    def do_nocontent(self):
        self.head(204)

    def do_retry(self):
        self.answer(b"later\n", 429, ("Retry-After", self.path.split("=", 1)[1].replace("%20", " ")))

    def do_token(self):
        known = self.headers.get("Authorization") == "Bearer second"
        self.answer(b"{}", 200 if known else 401)

    def do_reset(self):
        self.head(200, ("Content-Length", "1000"))
        self.wfile.write(b"x" * 100)
        time.sleep(0.05)
        self.reset()

    def do_short(self):
        self.head(200, ("Content-Length", "1000"))
        self.wfile.write(b"x" * 100)
        self.hang_up()

    def do_long(self):
        self.head(200, ("Content-Length", "5"))
        self.wfile.write(b"x" * 500)
        self.hang_up()

    def do_cut(self):
        self.head(200, ("Transfer-Encoding", "chunked"))
        self.chunk(b'{"type":"ADDED"}\n')
        self.wfile.write(b"100\r\nhalf")
        self.hang_up()

    def do_badchunk(self):
        self.head(200, ("Transfer-Encoding", "chunked"))
        self.wfile.write(b"ffffffffffffffffffffffff\r\nx")
        self.hang_up()

    def do_nothing(self):
        self.hang_up()

    def do_garbage(self):
        self.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n" * 20)
        self.hang_up()

    def do_silent(self):
        time.sleep(20)

    def do_stall(self):
        self.head(200, ("Transfer-Encoding", "chunked"))
        self.chunk(b"begun\n")
        time.sleep(20)

    def do_drip(self):
        self.head(200, ("Transfer-Encoding", "chunked"))
        for _ in range(8):
            self.chunk(b"x")
            time.sleep(0.1)
        self.wfile.write(b"0\r\n\r\n")

    def do_gzip(self):
        assert "gzip" in self.headers.get("Accept-Encoding", "")
        self.answer(gzip.compress(bytes(32 << 20)), 200, ("Content-Encoding", "gzip"))

    def do_badgzip(self):
        self.answer(b"no gzip at all" * 10, 200, ("Content-Encoding", "gzip"))

    def do_headers(self):
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for i in range(2000):
            self.wfile.write(b"X-%d: %s\r\n" % (i, b"y" * 1000))
        self.wfile.write(b"Content-Length: 2\r\n\r\n{}")

    def do_line(self):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: %s\r\nContent-Length: 2\r\n\r\n{}" % (b"y" * (4 << 20)))

    def handle_any(self):
        name = self.path.split("?")[0].strip("/")
        try:
            getattr(self, "do_" + name)()
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            self.close_connection = True

    do_GET = do_PATCH = do_POST = handle_any


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        pass


def tls(certificate_name):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path_of(certificate_name + ".pem"), path_of(certificate_name + ".key"))

    def note_name(connection, name, _):
        connection.asked_name = name

    context.sni_callback = note_name
    return context


class TLSServer(Server):
    context = None

    def get_request(self):
        connection, address = super().get_request()
        # the handshake is the thread's, at its first read
        return self.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address


def serve(context, host="127.0.0.1"):
    kind = TLSServer if context else Server
    if ":" in host:
        kind = type("Six", (kind,), {"address_family": socket.AF_INET6})
    server = kind((host, 0), Handler)
    server.context = context
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def proxy(backend):
    """HTTP/2 in front of the plain server."""
    port = free_port()
    # pylint: disable-next=consider-using-with
    child = subprocess.Popen(["nghttpx", "--conf=/dev/null", f"--frontend=127.0.0.1,{port}", f"--backend=127.0.0.1,{backend}",
                              "--workers=1", "--errorlog-file=" + path_of("nghttpx.log"), "--accesslog-file=/dev/null",
                              path_of("server.key"), path_of("server.pem")], cwd=folder, stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return port, child
        except OSError:
            time.sleep(0.05)
    sys.exit("https.py: nghttpx does not listen")


def main():
    make_certificates()
    known_clients = tls("server")
    known_clients.load_verify_locations(path_of("authority.pem"))
    known_clients.verify_mode = ssl.CERT_REQUIRED
    old = tls("server")
    old.minimum_version = ssl.TLSVersion.TLSv1_1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    plain = serve(None)
    http2, child = proxy(plain)
    ports = {"tls": serve(tls("server")), "six": serve(tls("server"), "::1"), "named": serve(tls("named")),
             "client": serve(known_clients), "old": serve(old), "plain": plain, "http2": http2, "free": free_port()}
    print(" ".join(f"{name}={port}" for name, port in ports.items()), flush=True)
    sys.stdin.read()
    child.terminate()
    child.wait()


main()
