"""How long a request through a relay takes, beyond what the registry itself takes: 20 ms are wanted."""

import http.client
import statistics
import time

_REQUESTS = 20


def round_trip_ms(port: int) -> float:
    """Median milliseconds of `GET /v2/` on a connection that is open already."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        return statistics.median(_request(connection) for _ in range(_REQUESTS)) * 1000
    finally:
        connection.close()


def _request(connection: http.client.HTTPConnection) -> float:
    begun = time.monotonic()
    connection.request("GET", "/v2/")
    connection.getresponse().read()
    return time.monotonic() - begun
