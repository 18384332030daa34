#!/usr/bin/env python3
"""Counts which calls of AWS a message costs, on a fresh running stack, for docs/cost.md.

usage: cargo run -- demo; cargo run              # a client, then a stack that stays
       infra/reference/measure.py > infra/reference/measured.json

Each function gets an address of its own for AWS, behind which every call is counted and passed on; DynamoDB is asked what
each call consumed. What happens without messages (schedules) is counted first and taken off.
"""

import collections
import http.client
import http.server
import json
import pathlib
import sys
import threading
import time
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
STACK = json.loads((ROOT / ".local/stack.json").read_text())
ENDPOINT = STACK["awsEndpoint"]
UPSTREAM = urllib.parse.urlsplit(ENDPOINT).netloc
MESSAGES = 20
BOT = "demo-bakery"

counts = collections.Counter()
lock = threading.Lock()


def counter(function):
    class Counter(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def pass_on(self):
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "content-length", "connection")}
            target = self.headers.get("x-amz-target", "")
            if target.startswith("DynamoDB"):
                body = json.dumps({**json.loads(body), "ReturnConsumedCapacity": "TOTAL"}).encode()
            upstream = http.client.HTTPConnection(UPSTREAM)
            upstream.request(self.command, self.path, body, headers)
            answer = upstream.getresponse()
            content = answer.read()
            count(function, target, body, answer.status, content)
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("content-length", "transfer-encoding", "connection", "x-amz-crc32"):
                    self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = pass_on

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Counter)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


READS = ("GetItem", "BatchGetItem", "Query")


def count(function, target, body, status, content):
    service, _, operation = target.partition(".")
    found = {}
    if service.startswith("DynamoDB"):
        consumed = json.loads(content).get("ConsumedCapacity", [])
        consumed = consumed if isinstance(consumed, list) else [consumed]
        # A write whose condition did not hold costs what the item has, at least a unit; the emulator does not say.
        units = sum(it["CapacityUnits"] for it in consumed) if status == 200 else 1
        found["readUnits" if operation in READS else "writeUnits"] = units
        found["dynamodbCalls"] = 1
    elif service == "AmazonSQS":
        found["sqs"] = 1 + len(body) // 65536
    elif service == "TrentService":
        found["kms"] = 1
    elif service == "secretsmanager":
        found["secrets"] = 1
    with lock:
        for name, amount in found.items():
            counts[function, name] += amount


def call(url, body=None, method=None, token=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method)
    request.add_header("content-type", "application/json")
    if token:
        request.add_header("authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=60) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def functions():
    listed = call(f"{ENDPOINT}/2015-03-31/functions/?MaxItems=50")["Functions"]
    return {it["FunctionName"].split("-")[1]: it for it in listed}


def point_to(function, address):
    variables = {**function["Environment"]["Variables"], "AWS_ENDPOINT_URL": address}
    url = f"{ENDPOINT}/2015-03-31/functions/{function['FunctionName']}/configuration"
    call(url, {"Environment": {"Variables": variables}}, "PUT")


def quiet():
    """Waits until nothing was counted for some seconds."""
    last, since = None, time.time()
    while time.time() - since < 4:
        with lock:
            now = sum(counts.values())
        if now != last:
            last, since = now, time.time()
        time.sleep(0.2)


def during(work):
    """What `work` made the functions call, for one of the messages; schedules that ran meanwhile are taken off."""
    quiet()
    with lock:
        before, start = counts.copy(), time.time()
    work()
    quiet()
    with lock:
        after, minutes = counts.copy(), (time.time() - start) / 60
    result = collections.defaultdict(dict)
    for key, amount in after.items():
        amount = amount - before[key] - IDLE.get(key, 0) * minutes
        if amount / MESSAGES >= 0.05:
            result[key[0]][key[1]] = round(amount / MESSAGES, 2)
    return {name: dict(sorted(values.items())) for name, values in sorted(result.items())}


IDLE = {}


def main():
    token, meta, api = STACK["tokens"]["bots"][BOT], STACK["metaUrl"], STACK["apiUrl"]
    client = max(call(f"{api}/api/whatsapp/clients", token=token)["items"], key=lambda it: it["createdAt"])
    number = client["phoneNumberId"]
    deployed = functions()
    for name, function in deployed.items():
        point_to(function, counter(name))

    def customer(n):
        return f"1212555{n:04}"

    def writes(base):
        for n in range(MESSAGES):
            text = {"type": "text", "text": {"body": "Are you open on Sunday? I would come with the whole family."}}
            call(f"{meta}/_sim/customers/{customer(base + n)}/messages", {"to": number, "message": text})

    def sends(base):
        for n in range(MESSAGES):
            text = {"botId": BOT, "phoneNumberId": number, "to": f"+{customer(base + n)}", "type": "text",
                    "text": {"body": "Your cake is ready. We are open until six."}}
            call(f"{api}/api/whatsapp/send-message", text, token=token)

    writes(100)  # warm: connections, secrets, tokens
    sends(100)
    quiet()
    with lock:
        counts.clear()
    time.sleep(180)
    with lock:
        IDLE.update({key: amount / 3 for key, amount in counts.items()})
    answered = during(lambda: writes(200))
    sent = during(lambda: sends(200))
    for n in range(MESSAGES):
        call(f"{api}/api/whatsapp/conversations/{BOT}/{customer(200 + n)}/pause", {"minutes": 60}, "PUT", token)
    received = during(lambda: writes(200))
    idle = collections.defaultdict(dict)
    for (name, kind), amount in sorted(IDLE.items()):
        idle[name][kind] = round(amount, 2)
    for name, function in deployed.items():
        point_to(function, ENDPOINT)
    json.dump({"received": received, "answered": answered, "sent": sent, "aMinute": idle}, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
