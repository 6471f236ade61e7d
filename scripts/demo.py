"""Start the real service, ask it for one prediction and for a batch, show the answers, stop it."""

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

DEADLINE = 30  # seconds until the service has to be ready
COMMAND = [sys.executable, "-m", "churn_service"]


def ask(url: str, body: Any = None) -> Any:
    """GET, or POST a JSON body; return the JSON answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})  # noqa: S310 - our own http URL
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - ditto
        return json.load(response)


def wait_until_ready(url: str, service: subprocess.Popen[bytes]) -> None:
    """Poll /ready; stop waiting if the service ends or the deadline passes."""
    deadline = time.monotonic() + DEADLINE
    while service.poll() is None and time.monotonic() < deadline:
        try:
            print("ready:", ask(f"{url}/ready"))
        except urllib.error.URLError:
            time.sleep(0.1)
        else:
            return
    sys.exit("the service did not become ready; its own messages are above")


def main() -> None:
    """Walk the road once."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    customer = json.loads(subprocess.check_output([*COMMAND, "example"]))  # noqa: S603 - our own command
    service = subprocess.Popen([*COMMAND, "serve", "--port", str(port)], cwd=Path.cwd())  # noqa: S603 - ditto
    try:
        wait_until_ready(url, service)
        print("one customer:", json.dumps(ask(f"{url}/predict", customer), indent=2))
        batch = ask(f"{url}/predict/batch", {"customers": [customer] * 3})
        print(f"batch of {batch['batch_size']}: {[p['churn_probability'] for p in batch['predictions']]}")
    finally:
        service.send_signal(signal.SIGINT)  # at once; SIGTERM would let callers leave first
        code = service.wait(timeout=DEADLINE)
    print(f"stopped, exit code {code}")
    sys.exit(code)


if __name__ == "__main__":
    main()
