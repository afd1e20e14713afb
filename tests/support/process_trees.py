"""What a process and those that it started are at: where they listen, and whether they still run."""

from collections.abc import Iterator
from ipaddress import ip_address

import psutil


def tree_of(pid: int) -> list[psutil.Process]:
    """A process and all below it."""
    top = psutil.Process(pid)
    return [top, *top.children(recursive=True)]


def open_to_others(pid: int) -> list[str]:
    """Addresses other than loopback's at which a process and all below it listen."""
    return [address for address in listeners(pid) if not ip_address(address).is_loopback]


def listeners(pid: int) -> list[str]:
    """The addresses at which a process and all below it take connections, or packets of anybody."""
    return [address for process in tree_of(pid) for address in _listeners_of(process)]


def _listeners_of(process: psutil.Process) -> Iterator[str]:
    try:
        connections = process.net_connections("inet")
    except psutil.NoSuchProcess:  # it ended meanwhile
        return
    for connection in connections:
        datagrams = connection.status == psutil.CONN_NONE and connection.laddr and not connection.raddr
        if connection.status == psutil.CONN_LISTEN or datagrams:
            yield connection.laddr.ip
