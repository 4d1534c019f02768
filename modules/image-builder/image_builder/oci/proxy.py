"""Which proxy a URL is reached through: HTTPS_PROXY, HTTP_PROXY and NO_PROXY.

The HTTP library's own switch for these variables also sends the passwords of ~/.netrc to hosts that
have not asked for any, so the variables are read here.
"""

import os

from yarl import URL

from ..shared.endpoints import is_loopback


def proxy_for(url: URL) -> URL | None:
    """The proxy for `url`, None for a direct connection; loopback is always reached directly."""
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    from urllib.request import getproxies, proxy_bypass  # slow to load, and mostly not needed

    proxy = getproxies().get(url.scheme)
    if not proxy or is_loopback(url.authority) or proxy_bypass(f"{url.host}:{url.port}"):
        return None
    return URL(proxy if "://" in proxy else f"http://{proxy}")
