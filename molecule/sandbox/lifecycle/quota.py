"""SSM's quota in front of moto, which has none. All clients together get so many writes and reads per second; other calls are throttled.

Like the account's real quota, it is a bucket that fills up to one second's worth. A refused call takes nothing from it.
"""

import http.client
import itertools
import json
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WRITES = ("PutParameter", "DeleteParameter", "DeleteParameters")
REFUSALS = (("ThrottlingException", "Rate exceeded"), ("TooManyUpdates", "There are concurrent updates for a resource"))


class Bucket:
    """A token bucket: `rate` tokens per second, at most `burst` tokens."""

    def __init__(self, rate, burst):
        self.rate, self.burst, self.tokens, self.at = rate, burst, burst, time.monotonic()

    def take(self):
        now = time.monotonic()
        self.tokens, self.at = min(self.burst, self.tokens + (now - self.at) * self.rate), now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class Server(ThreadingHTTPServer):
    """Accepts as many connections at once as a fleet's forks."""

    daemon_threads, request_queue_size = True, 256

    def handle_error(self, request, client_address):
        """Ignores clients that disconnect."""


class Quota:
    """A server on loopback that passes calls on to moto within the quota, and counts them."""

    def __init__(self, target, writes=3.0, reads=40.0):
        self.target = urllib.parse.urlsplit(target).netloc
        self.buckets = {"write": Bucket(writes, writes), "read": Bucket(reads, reads)}
        self.count = {"write": 0, "read": 0, "throttled": 0}
        self.first = self.last = None  # times of the first and the last write
        self.lock, self.refusals = threading.Lock(), itertools.cycle(REFUSALS)
        quota = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                quota.serve(self)

            def log_message(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def admit(self, action):
        """None if the call is allowed, otherwise the error for it."""
        if not action:
            return None  # STS has its own quota
        kind = "write" if action in WRITES else "read"
        with self.lock:
            if not self.buckets[kind].take():
                self.count["throttled"] += 1
                return next(self.refusals) if kind == "write" else REFUSALS[0]
            self.count[kind] += 1
            if kind == "write":
                self.last = time.monotonic()
                self.first = self.first or self.last
        return None

    def serve(self, request):
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        refusal = self.admit(request.headers.get("X-Amz-Target", "").partition("AmazonSSM.")[2])
        if refusal:
            status, content, kind = 400, json.dumps({"__type": refusal[0], "message": refusal[1]}).encode(), "application/x-amz-json-1.1"
        else:
            upstream = http.client.HTTPConnection(self.target, timeout=60)
            upstream.request("POST", request.path, body, dict(request.headers))
            answer = upstream.getresponse()
            status, content, kind = answer.status, answer.read(), answer.headers.get("Content-Type", "application/x-amz-json-1.1")
            upstream.close()
        request.send_response(status)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
