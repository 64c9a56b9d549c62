"""The health check: does the application answer?"""

import socket


def main() -> int:
    with socket.create_connection(("127.0.0.1", 8000), timeout=2) as connection:
        connection.sendall(b"GET /health HTTP/1.0\r\n\r\n")
        return 0 if b" 200 " in connection.recv(100) else 1
