"""De-identification: the one door through which text enters the hospital's system (rule 2), and no socket.

urllib3, which Presidio's libraries import, binds a socket at import to see whether the machine speaks IPv6.
It is told so instead, once, before anything of this package imports it.
"""

import socket
import sys

if "urllib3.util.connection" not in sys.modules:
    _had, socket.has_ipv6 = socket.has_ipv6, False
    try:
        import urllib3.util.connection as _connection
    finally:
        socket.has_ipv6 = _had
    _connection.HAS_IPV6 = _had
