"""Addresses to listen at, as people write them."""

from __future__ import annotations

import ipaddress
import os
import socket


class PortInUseError(OSError):
    """Nothing can listen at the address: it is taken, is not this machine's, or is no address."""


def parse_address(address: str) -> tuple[str, int]:
    """Host (without brackets) and port of ``HOST:PORT``. Raises `PortInUseError` when it is none."""
    host, separator, port = address.rpartition(":")
    if not separator or not host or not port.isdecimal() or int(port) > 65_535:
        raise PortInUseError(f"cannot listen at {address}: write it as HOST:PORT, the port up to 65535")
    return host.strip("[]"), int(port)


def listen(address: str) -> socket.socket:
    """A TCP socket that listens at ``address``. Raises `PortInUseError` with the system's reason."""
    host, port = parse_address(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise PortInUseError(f"cannot listen at {address}: {reason}") from error


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach ``HOST:PORT``."""
    host = parse_address(address)[0]
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
