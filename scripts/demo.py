"""Start the real service, ask it for predictions, show the answers, and stop it.

It is asked for one prediction and for a batch.
"""

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
    request = urllib.request.Request(  # noqa: S310 - our own http URL
        url, data, {"Content-Type": "application/json"}
    )
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
    example = subprocess.check_output([*COMMAND, "example"])  # noqa: S603 - our own
    customer = json.loads(example)
    service = subprocess.Popen(  # noqa: S603 - ditto
        [*COMMAND, "serve", "--port", str(port)], cwd=Path.cwd()
    )
    try:
        wait_until_ready(url, service)
        print("one customer:", json.dumps(ask(f"{url}/predict", customer), indent=2))
        batch = ask(f"{url}/predict/batch", {"customers": [customer] * 3})
        probabilities = [each["churn_probability"] for each in batch["predictions"]]
        print(f"batch of {batch['batch_size']}: {probabilities}")
    finally:
        # At once; SIGTERM would let callers leave first.
        service.send_signal(signal.SIGINT)
        code = service.wait(timeout=DEADLINE)
    print(f"stopped, exit code {code}")
    sys.exit(code)


if __name__ == "__main__":
    main()
