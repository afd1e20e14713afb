"""What a process and those that it started are at: where they listen, and whether they still run."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any

import psutil
import pytest


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


def servers_below(pid: int) -> list[psutil.Process]:
    """Servers of Prefect that a process started."""
    return [process for process in tree_of(pid) if "prefect.server.api.server:create_app" in _words_of(process)]


def still_running(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that have not ended: one whose end nobody has asked for yet has ended."""
    return [process for process in processes if _runs(process)]


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _words_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


@contextmanager
def listening_here() -> Iterator[list[Any]]:
    """Yield the addresses at which this process begins to listen meanwhile, or to take packets."""
    addresses: list[Any] = []
    listen, bind = socket.socket.listen, socket.socket.bind

    def listening(self: socket.socket, *backlog: int) -> None:
        listen(self, *backlog)
        if self.family != socket.AF_UNIX:
            addresses.append(self.getsockname())

    def binding(self: socket.socket, address: Any) -> None:
        bind(self, address)
        if self.family != socket.AF_UNIX and self.type == socket.SOCK_DGRAM:
            addresses.append(self.getsockname())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "listen", listening)
        patch.setattr(socket.socket, "bind", binding)
        yield addresses
