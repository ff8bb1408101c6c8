#!/usr/bin/env python3
"""Measure the adapter beside adapters in process: compare.py [ROUNDS] [REQUESTS].

One FastAPI and one Express app run below lambda-local three times each: under
uvicorn and Node's server with this adapter, the same with PEER=/path/to/another
adapter, and in process, by Mangum and serverless-express on AWS's own Runtime
interface clients. Rounds are interleaved, and each starts anew. Printed are the best
init of all rounds and the median of its CPU time; the median and the best 5% of the
durations, both as Lambda's REPORT line has them; CPU time for one request, and
memory, of all processes but lambda-local. CPU time says most on a busy machine. The
packages come from PyPI and npm into build/compare.
"""

import http.client
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
BUILD = ROOT / "build" / "compare"
RELEASE = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
PEER = os.environ.get("PEER", "")
BODY = json.dumps({"items": [{"id": n, "name": f"item {n}"} for n in range(32)]}).encode()
PYTHON = ["fastapi", "uvicorn", "mangum", "awslambdaric"]
NODE = ["express@5", "@codegenie/serverless-express@4", "aws-lambda-ric@3"]

SERVE = 'exec python3 -m uvicorn --no-access-log --log-level warning --port "$PORT" main:app'
UVICORN = ["sh", "-c", SERVE]
EXPRESS = ["node", "server.cjs"]
SETUPS = {
    "FastAPI, uvicorn, lambda-adapter": ([], UVICORN),
    "FastAPI, uvicorn, peer": (["--adapter", PEER], UVICORN),
    "FastAPI, Mangum, awslambdaric": (
        ["--no-adapter"], ["python3", "-m", "awslambdaric", "handler.handler"]),
    "Express, lambda-adapter": ([], EXPRESS),
    "Express, peer": (["--adapter", PEER], EXPRESS),
    "Express, serverless-express, aws-lambda-ric": (
        ["--no-adapter"], ["node", "node_modules/aws-lambda-ric/bin/index.mjs", "handler.handler"]),
}


def install():
    BUILD.mkdir(parents=True, exist_ok=True)
    for path in HERE.iterdir():
        if path.is_file():
            shutil.copy(path, BUILD)
    if not (BUILD / "python").exists():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", f"--target={BUILD / 'python'}"]
        subprocess.run([*pip, *PYTHON], check=True)
    if not (BUILD / "node_modules").exists():
        npm = ["npm", "install", "--no-audit", "--no-fund", "--no-save"]
        subprocess.run([*npm, *NODE], cwd=BUILD, check=True)


def processes(parent):
    """The processes below `parent`: CPU seconds and resident bytes of each."""
    children, found = {}, {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(entry.name))
        cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        found[int(entry.name)] = cpu, int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
    below, queue = [], [parent]
    while queue:
        for child in children.get(queue.pop(), []):
            below.append(found[child])
            queue.append(child)
    return sum(cpu for cpu, _ in below), sum(memory for _, memory in below)


def measure(options, command, requests):
    """One environment: init in ms and in CPU ms, durations in ms, CPU ms a request, MB."""
    environment = {**os.environ, "PYTHONPATH": str(BUILD / "python")}
    log = BUILD / "log"
    with log.open("w") as file:
        local = subprocess.Popen(
            [RELEASE / "lambda-local", "--port", "0", *options, "--", *command],
            cwd=BUILD, env=environment, stdout=file, stderr=file)
    listening = re.compile(r"(?m)^lambda-local: listening on http://(\S+)")
    while not (match := listening.search(log.read_text())):
        assert local.poll() is None, log.read_text()
        time.sleep(0.05)
    started, _ = processes(local.pid)
    connection = http.client.HTTPConnection(match[1])

    def ask(method, path, body=None):
        connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        response = connection.getresponse()
        assert response.status == 200, (method, path, response.status, response.read())
        response.read()

    for _ in range(50):
        ask("GET", "/")
        ask("POST", "/json", BODY)
    before, _ = processes(local.pid)
    for _ in range(requests):
        ask("GET", "/")
        ask("POST", "/json", BODY)
    after, memory = processes(local.pid)
    local.terminate()
    local.wait()
    lines = log.read_text()
    reports = [line for line in lines.splitlines() if line.startswith("REPORT")]
    durations = [float(re.search(r"\tDuration: ([\d.]+)", line)[1]) for line in reports[100:]]
    init = float(re.search(r"Init Duration: ([\d.]+)", lines)[1])
    return init, started * 1000, durations, (after - before) * 1000 / (2 * requests), memory / 1e6


def main():
    rounds, requests = (int(word) for word in (*sys.argv[1:], 5, 500)[:2])
    install()
    setups = {name: setup for name, setup in SETUPS.items() if PEER or "peer" not in name}
    results = {name: ([], [], [], [], []) for name in setups}
    for number in range(rounds):
        for name, setup in setups.items():
            init, started, durations, cpu, memory = measure(*setup, requests)
            one = [init], [started], durations, [cpu], [memory]
            for values, value in zip(results[name], one):
                values += value
        print(f"round {number + 1} of {rounds}", time.strftime("%H:%M:%S"), file=sys.stderr)
    columns = ("init", "CPU", "request", "best 5%", "CPU", "MB")
    print(f"{'ms':<44}" + "".join(f"{column:>9}" for column in columns))
    for name, (init, started, durations, cpu, memory) in results.items():
        middle = statistics.median
        quick = sorted(durations)[len(durations) // 20]
        print(
            f"{name:<44}{min(init):9.0f}{middle(started):9.0f}{middle(durations):9.2f}{quick:9.2f}"
            f"{middle(cpu):9.2f}{middle(memory):9.0f}")


if __name__ == "__main__":
    main()
