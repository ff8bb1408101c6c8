"""What a client must see of every example, whatever it is written in.

All examples answer the same few routes, so one checker serves them all, through Lambda and without it. Each check takes the address of
the app's root and raises AssertionError with what was wrong. They ask with http.client, which sends and shows bytes as they are:
nothing is followed, decoded or retried.
"""

import http.client
import json
import os
import re
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qsl, urljoin, urlsplit

PATIENCE = 30
BYTES = bytes(range(256)) * 256
# Invalid UTF-8, an encoded percent, plus signs and delimiters, a repeated, an empty and a bare name; but nothing RFC 3986 forbids.
QUERY = "name=Zo%C3%AB&latin=%FF&nul=%00&plus=a+b&signs=%2B%26%3D%25%2F&again=1&again=2&empty=&bare&/?:@;,=~!$*()"


def ask(url, method="GET", body=None, headers={}):
    """One request: status, headers as a list, body."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=PATIENCE)
    try:
        connection.request(method, url[url.index(parts.netloc) + len(parts.netloc):], body, headers)
        response = connection.getresponse()
        headers = [(name.lower(), value) for name, value in response.getheaders()]
        return response.status, headers, response.read()
    finally:
        connection.close()


def first(headers, name):
    return next((value for key, value in headers if key == name), "")


def expect(what, seen, wanted):
    assert seen == wanted, f"{what} is {short(seen)}, not {short(wanted)}"


def short(value):
    text = repr(value)
    return text if len(text) < 160 else f"{text[:160]}... ({len(value)} long)"


def page(url):
    status, headers, body = ask(url + "/")
    expect("status of /", status, 200)
    assert first(headers, "content-type").startswith("text/html"), f"content-type of / is {headers}"
    assert b"<h1>Hello" in body, f"the page is {short(body)}"


def posted(url):
    sent = {"name": "Zo\u00eb \u2603 \U0001f600", "quote": "\"\\\n", "list": [1, 2.5, None, True]}
    status, headers, body = ask(url + "/json", "POST", json.dumps(sent).encode(), {"Content-Type": "application/json"})
    expect("status of POST /json", status, 200)
    assert first(headers, "content-type").startswith("application/json"), f"content-type of /json is {headers}"
    expect("answer of POST /json", json.loads(body), {"received": sent})


def query(url):
    status, _, body = ask(f"{url}/query?{QUERY}")
    expect("status of /query", status, 200)
    expect("query that the app saw", body.decode("latin-1").strip(), QUERY)


def cookies(url):
    status, headers, _ = ask(url + "/cookies")
    expect("status of /cookies", status, 200)
    seen = [value.split(";")[0] for name, value in headers if name == "set-cookie"]
    # Frameworks add cookies of their own (a session, say).
    expect("cookies set", sorted(pair for pair in seen if pair[:4] in ("one=", "two=")), ["one=1", "two=2"])


def download(url):
    status, headers, body = ask(url + "/download")
    expect("status of /download", status, 200)
    assert body == BYTES, f"download is {short(body)}, not the {len(BYTES)} bytes"
    expect("content-type of /download", first(headers, "content-type"), "application/octet-stream")


def missing(url):
    expect("status of /missing", ask(url + "/missing")[0], 404)


def head(url):
    status, headers, body = ask(url + "/", "HEAD")
    expect("status of HEAD /", status, 200)
    expect("body of HEAD /", body, b"")
    assert first(headers, "content-type").startswith("text/html"), f"content-type of HEAD / is {headers}"


def redirect(url):
    status, headers, _ = ask(url + "/redirect")
    assert status in (301, 302, 303, 307, 308), f"status of /redirect is {status}"
    target = urlsplit(urljoin(url + "/redirect", first(headers, "location")))
    assert (target.path or "/") in ("/", urlsplit(url).path + "/"), f"location of /redirect is {first(headers, 'location')!r}"


def stream(url):
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=PATIENCE)
    try:
        connection.request("GET", parts.path + "/stream")
        response = connection.getresponse()
        expect("status of /stream", response.status, 200)
        pieces = []
        while piece := response.read1(65536):
            pieces.append((time.monotonic(), piece))
    finally:
        connection.close()
    text = b"".join(piece for _, piece in pieces)
    ticks = [text.find(b"tick %d" % n) for n in (1, 2, 3, 4)]
    assert -1 not in ticks and ticks == sorted(ticks), f"the stream is {short(text)}"
    # The app waits 300 ms between its four pieces; a buffered answer would come all at once.
    took = pieces[-1][0] - pieces[0][0]
    assert len(pieces) >= 4 and took > 0.6, f"the stream came in {len(pieces)} pieces within {took:.2f} s"


HTTP = {
    "page": page, "json": posted, "query": query, "cookies": cookies, "download": download, "404": missing, "HEAD": head,
    "redirect": redirect,
}


# --- of single examples: these get the running Function ---


def sigterm(function):
    function.stop()
    assert any("closed" in line for line in function.lines), "the app did not say goodbye: " + function.tail()


def without_lambda(function):
    """The same program as a server of its own."""
    function.stop()
    environment = {"PATH": os.environ["PATH"], "PORT": function.port}
    program = subprocess.Popen(function.command, cwd=function.folder, env=environment)
    try:
        deadline = time.monotonic() + PATIENCE
        while not listens(function.port):
            assert program.poll() is None and time.monotonic() < deadline, "it did not start without Lambda"
            time.sleep(0.02)
        for check in HTTP.values():
            check(f"http://127.0.0.1:{function.port}")
    finally:
        program.kill()
        program.wait()


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(port))) == 0


def parameters(function):
    """For a framework that writes the query anew before the app sees it: the same names and values."""
    status, _, body = ask(f"{function.address}/query?{QUERY}")
    expect("status of /query", status, 200)
    expect("parameters that the app saw", parse_qsl(body.decode(), keep_blank_values=True), parse_qsl(QUERY, keep_blank_values=True))


def sqs(function):
    event = function.sample("sqs")
    expect("answer to good messages", function.invoke(event), (True, {"batchItemFailures": []}))
    event["Records"][0]["body"] = "no order"
    failures = [{"itemIdentifier": event["Records"][0]["messageId"]}]
    expect("answer to a bad message and a good one", function.invoke(event), (True, {"batchItemFailures": failures}))
    succeeded, answer = function.invoke({"Records": None})
    assert not succeeded, f"a batch that the app failed on counts as done: {short(answer)}"


def bedrock_agent(function):
    event = function.sample("bedrock-agent")
    succeeded, answer = function.invoke(event)
    assert succeeded, f"the agent's call failed: {short(answer)}"
    response = answer["response"]
    expect("path answered", (response["httpMethod"], response["apiPath"]), (event["httpMethod"], event["apiPath"]))
    expect("status", response["httpStatusCode"], 200)
    expect("order", json.loads(response["responseBody"]["application/json"]["body"]), {"id": 7, "state": "shipped"})


def eventbridge(function):
    event = function.sample("eventbridge")
    expect("answer to the event", function.invoke(event), (True, {"order": 7}))
    function.until("order 7 placed")
    succeeded, answer = function.invoke({**event, "detail-type": "Order eaten"})
    assert not succeeded, f"an event that the app refused counts as done: {short(answer)}"


def background_task(function):
    page(function.address)
    expect("status of POST /mails/zoe", ask(function.address + "/mails/zoe", "POST")[0], 202)
    assert not any("mail sent to zoe" in line for line in function.lines), "the client waited for the task"
    # Frozen processes would never print it: nobody invokes the function now.
    function.until("mail sent to zoe")


def queue(function):
    """Several pieces of work, all done although nothing invokes the function after the last request."""
    page(function.address)
    for to in ("ann", "bob", "zoe"):
        expect(f"status of POST /mails/{to}", ask(f"{function.address}/mails/{to}", "POST")[0], 202)
        assert not any(f"mail sent to {to}" in line for line in function.lines), "the client waited for the mail"
    function.until("mail sent to zoe")
    sent = [line.rpartition(" ")[2] for line in function.lines if "mail sent to" in line]
    expect("mails", sent, ["ann", "bob", "zoe"])
    expect("status of POST /_after", ask(function.address + "/_after", "POST")[0], 403)


def sources(function):
    """Each source reaches its own route; one without a route fails and is named."""
    event = function.sample("sqs")
    event["Records"][0]["body"] = "bad"
    failures = [{"itemIdentifier": event["Records"][0]["messageId"]}]
    expect("reply to messages", function.invoke(event), (True, {"batchItemFailures": failures}))
    event = function.sample("s3")
    keys = [record["s3"]["object"]["key"] for record in event["Records"]]
    expect("reply to objects", function.invoke(event), (True, {"keys": keys}))
    expect("reply to the schedule", function.invoke(function.sample("schedule")), (True, {"cleaned": True}))
    function.until("cleaned up")
    succeeded, reply = function.invoke(function.sample("sns"))
    assert not succeeded and "sns" in json.dumps(reply), f"the reply to a source without a route is {short(reply)}"


def worker(function):
    """Each message is a task of its own; one that fails is listed alone. A client cannot send tasks."""
    def task(to):
        return json.dumps({"task": "send_mail", "arguments": {"to": to}})

    event = function.sample("sqs")
    good, bad = event["Records"][:2]
    good["body"], bad["body"] = task("ann@example.com"), task("bob")
    failures = [{"itemIdentifier": bad["messageId"]}]
    expect("reply to a good task and a bad one", function.invoke(event), (True, {"batchItemFailures": failures}))
    bad["body"] = task("zoe@example.com")
    expect("reply to good tasks", function.invoke(event), (True, {"batchItemFailures": []}))
    function.until("mail sent to zoe@example.com")
    sent = [line.rpartition(" ")[2] for line in function.lines if "mail sent to" in line]
    expect("mails", sent, ["ann@example.com", "ann@example.com", "zoe@example.com"])
    forged = {"Content-Type": "application/json", "User-Agent": "aws-sqsd/2.0"}
    status, _, _ = ask(function.address + "/worker/sqs/", "POST", task("eve@example.com"), forged)
    expect("status of a task of a client", status, 400)
    assert not any("eve@example.com" in line and "sent" in line for line in function.lines), "a client has sent a task"


def recorder(function):
    page(function.address)
    function.until("recorder: GET /2018-06-01/runtime/invocation/next")
    function.until("recorder: POST /2018-06-01/runtime/invocation/")


FUNCTION_URL = "abcdefghijklmnop.lambda-url.eu-west-1.on.aws"


def mcp(function):
    """As a client of the protocol: hello, the list of tools, a call; from the address that it has on Lambda."""
    def call(method, **params):
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        headers = {
            "Host": FUNCTION_URL, "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": "2025-06-18",
        }
        status, headers, body = ask(function.address + "/mcp", "POST", json.dumps(message).encode(), headers)
        assert status == 200, f"status of {method} is {status}: {short(body)}"
        text = body.decode()
        if first(headers, "content-type").startswith("text/event-stream"):
            text = next(line[5:] for line in text.splitlines() if line.startswith("data:") and "jsonrpc" in line)
        return json.loads(text)["result"]

    hello = call("initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo={"name": "check", "version": "1"})
    expect("name of the server", hello["serverInfo"]["name"], "orders")
    tools = call("tools/list")["tools"]
    expect("tools", [tool["name"] for tool in tools], ["order_state"])
    result = call("tools/call", name="order_state", arguments={"id": 7})
    expect("result of the tool", result["content"][0]["text"], "order 7 is shipped")


def events(function):
    """Server-sent events behind a stage, one by one."""
    parts = urlsplit(function.address)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=PATIENCE)
    came, words = [], []
    try:
        connection.request("GET", "/Prod/stream", headers={"Accept": "text/event-stream"})
        response = connection.getresponse()
        expect("status of /stream", response.status, 200)
        expect("content-type", response.getheader("content-type"), "text/event-stream")
        while line := response.readline():
            if line.startswith(b"data: {\"word"):
                words.append(json.loads(line[6:])["word"])
                came.append(time.monotonic())
    finally:
        connection.close()
    expect("words", " ".join(words), "Words come one by one, as a language model makes them.")
    took = came[-1] - came[0]
    assert took > 1, f"the {len(words)} events came within {took:.2f} s"


def together(function):
    """Requests that wait do so in one environment at the same time."""
    page(function.address)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(function.address + "/wait"), range(8)))
    expect("statuses", [status for status, _, _ in answers], [200] * 8)
    most = max(json.loads(body)["together"] for _, _, body in answers)
    assert most > 1, "the requests came one after the other"


def graphql(function):
    page(function.address)

    def call(query):
        body = json.dumps({"query": query}).encode()
        status, _, body = ask(function.address + "/graphql", "POST", body, {"Content-Type": "application/json"})
        expect("status of /graphql", status, 200)
        return json.loads(body)["data"]

    expect("order", call("{ order(id: 7) { id state } }"), {"order": {"id": 7, "state": "packed"}})
    expect("order", call("mutation { ship(id: 7) { state } }"), {"ship": {"state": "shipped"}})


def traces(function):
    """The collector gets the spans of requests, at the latest with a later request."""
    page(function.address)
    deadline = time.monotonic() + PATIENCE
    while not any("collector: /v1/traces" in line and " 0 spans" not in line for line in function.lines):
        assert time.monotonic() < deadline, "no span of a request reached the collector: " + function.tail()
        status, _, body = ask(function.address + "/orders/7")
        expect("order", (status, json.loads(body)), (200, {"order": 7}))
        time.sleep(0.2)


def exported(function):
    """Spans of requests that the collector got."""
    found = [re.search(r"collector: /v1/traces: .* (\d+) spans", line) for line in function.lines]
    return sum(int(match[1]) for match in found if match)


def flushed_traces(function):
    """The span of each request is sent before the freeze, without any later request."""
    for number in range(1, 6):
        expect("order", json.loads(ask(f"{function.address}/orders/{number}")[2]), {"order": number})
        deadline = time.monotonic() + PATIENCE
        while exported(function) < number:
            assert time.monotonic() < deadline, f"{exported(function)} of {number} spans came: " + function.tail()
            time.sleep(0.02)


def frozen_traces(function):
    """For longer than the exporter's five seconds, nothing comes."""
    expect("order", json.loads(ask(f"{function.address}/orders/1")[2]), {"order": 1})
    time.sleep(7)
    expect("spans that came", exported(function), 0)


def snapstart(function):
    """Both hooks have run before the first request, and clients cannot call them."""
    page(function.address)
    body = ask(function.address + "/")[2].decode()
    assert "100000 squares" in body and "seed None" not in body, f"the page is {short(body)}"
    for path in ("/snapstart/before", "/snapstart/after"):
        expect(f"status of {path}", ask(function.address + path, "POST")[0], 403)


def snapstart_shop(function):
    """Nothing that must not be in a snapshot is in it, the paths are primed, and the database responds after the restore."""
    page(function.address)
    lines = ("primed `/` in", "primed `/items/7` in", "before the snapshot: closed 1 connections", "after the restore: new seed, new credentials, 0 connections", "END RequestId")
    for line in lines:
        function.until(line)
    seen = "\n".join(function.lines)
    places = {line: seen.index(line) for line in lines}
    assert list(places.values()) == sorted(places.values()), f"not in the order {list(places)}:\n{seen}"
    status, _, body = ask(function.address + "/items/7")
    expect("status of /items/7", status, 200)
    assert b"Teapot No. 7" in body, f"the item is {short(body)}"
    orders = {json.loads(ask(function.address + "/orders", "POST")[2])["order"] for _ in range(3)}
    expect("different order numbers", len(orders), 3)
    for path in ("/snapstart/before", "/snapstart/after"):
        expect(f"status of {path}", ask(function.address + path, "POST")[0], 403)
