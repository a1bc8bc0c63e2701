#!/usr/bin/env python3
"""One address for all nodes of docker-compose.yml: passes each connection on to a node that can
serve. Looks at nothing but /readyz, so it goes with anything that REST does.

    front.py NAME PORT    NAME stands for all nodes; PORT is theirs and the one to listen on
"""

import asyncio
import ipaddress
import itertools
import struct
import sys

# Between two looks at the nodes, and for each question to one.
EVERY, PATIENCE = 0.5, 2.0
SORRY = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n"
    b"Content-Type: application/problem+json\r\n\r\n"
    b'{"type":"about:blank","status":503,"title":"no node can serve now"}\n'
)


async def is_ready(address, port):
    """Whether the node at an address says that it can serve."""
    writer = None
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(address, port)
            writer.write(b"GET /readyz HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n")
            return b" 200 " in await reader.readline()
    except (OSError, TimeoutError):
        return False
    finally:
        if writer:
            writer.close()


async def watch(name, port, ready):
    """Keeps `ready` up to date."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            async with asyncio.timeout(PATIENCE):
                found = await loop.getaddrinfo(name, port, type=1)
            addresses = sorted({entry[4][0] for entry in found})
        except (OSError, TimeoutError):
            addresses = []
        answers = await asyncio.gather(*(is_ready(address, port) for address in addresses))
        ready[:] = list(itertools.compress(addresses, answers))
        await asyncio.sleep(EVERY)


async def copy(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.write_eof()


async def node(port, ready, turn):
    """A connection to the next node that takes one."""
    now = list(ready)
    first = next(turn)
    for offset in range(len(now)):
        address = now[(first + offset) % len(now)]
        try:
            async with asyncio.timeout(PATIENCE):
                return await asyncio.open_connection(address, port)
        except (OSError, TimeoutError):
            continue
    return None


def client(writer):
    """Who asks, as a PROXY header, version 2. Nodes that trust this address go by it."""
    head = b"\r\n\r\n\0\r\nQUIT\n"
    names = ("peername", "sockname")
    (there, port), (here, own) = (writer.get_extra_info(name)[:2] for name in names)
    ends = [ipaddress.ip_address(end.partition("%")[0]) for end in (there, here)]
    if any(end.version == 6 for end in ends):
        # IPv4 beside IPv6 is written as IPv6.
        both = b"".join(
            end.packed if end.version == 6 else b"\0" * 10 + b"\xff\xff" + end.packed
            for end in ends
        )
        return head + struct.pack("!BBH", 0x21, 0x21, 36) + both + struct.pack("!HH", port, own)
    both = b"".join(end.packed for end in ends)
    return head + struct.pack("!BBH", 0x21, 0x11, 12) + both + struct.pack("!HH", port, own)


async def serve(reader, writer, port, ready, turn):
    try:
        found = await node(port, ready, turn)
        if not found:
            async with asyncio.timeout(PATIENCE):
                await reader.readuntil(b"\r\n\r\n")
            writer.write(SORRY)
            return await writer.drain()
        there, back = found
        back.write(client(writer))
        asking = asyncio.create_task(copy(reader, back))
        try:
            # Over when the node has said all it has to say.
            await copy(there, writer)
        finally:
            asking.cancel()
            back.close()
    except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass
    finally:
        writer.close()


async def main(name, port):
    ready, turn = [], itertools.count()
    watching = asyncio.create_task(watch(name, port, ready))
    server = await asyncio.start_server(
        lambda reader, writer: serve(reader, writer, port, ready, turn), None, port
    )
    async with server:
        await watching


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
