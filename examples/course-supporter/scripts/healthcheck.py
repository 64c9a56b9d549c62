"""Exit status 0 when the application on this host answers GET /health with 200, otherwise 1.

The standard library alone, because the health check starts a new interpreter twice a minute. A proxy in
the environment plays no part: http.client knows of none.
"""

import http.client
import sys

HOST = "127.0.0.1"
PORT = 8000
TIMEOUT_SECONDS = 4  # below the five seconds after which the engine gives up and loses the reason


def main(arguments: list[str]) -> int:
    port = int(arguments[0]) if arguments else PORT
    connection = http.client.HTTPConnection(HOST, port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/health")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        sys.stderr.write(f"no answer on port {port}: {error or type(error).__name__}\n")
        return 1
    finally:
        connection.close()
    if status != http.client.OK:
        sys.stderr.write(f"/health answered with status {status}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
