"""Whether a server lets nobody in who shows no certificate of a client (mutual TLS).

Who sends a request first often sees no more than a connection that ends: what it sent lies unread
there, so the reason is thrown away with it. Here nothing is sent after the handshake.
"""

import socket
import ssl

from registry_gc.addresses import Address

_TIMEOUT = 5.0  # seconds for the handshake
_REASON = 1.0  # seconds for the refusal: with TLS 1.3 it follows the handshake
# What Go's and OpenSSL's servers say; the last two with TLS 1.2, within the handshake.
_ALERTS = ("CERTIFICATE_REQUIRED", "BAD_CERTIFICATE", "HANDSHAKE_FAILURE")


def wants_client_certificate(address: Address) -> bool:
    """Say whether a server turns away who shows none; False where it cannot be asked."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nothing is sent and nothing believed
    try:
        with (
            socket.create_connection((address.host, address.port), _TIMEOUT) as connection,
            context.wrap_socket(connection) as wrapped,
        ):
            wrapped.settimeout(_REASON)
            wrapped.recv(1)
    except ssl.SSLError as error:
        said = str(error).upper().replace(" ", "_")
        return any(alert in said for alert in _ALERTS)
    except (OSError, ValueError):
        return False
    return False
