"""Passes tcp connections on, as the router of a NAT does: relay.py LISTEN_HOST:PORT TO_HOST:PORT [...]"""
import asyncio
import sys


async def pump(reader, writer):
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


def to(host, port):
    async def accepted(reader, writer):
        try:
            out_reader, out_writer = await asyncio.open_connection(host, port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(pump(reader, out_writer), pump(out_reader, writer))

    return accepted


async def main(words):
    servers = []
    for at, target in zip(words[::2], words[1::2]):
        host, port = at.rsplit(":", 1)
        there, its_port = target.rsplit(":", 1)
        servers.append(await asyncio.start_server(to(there, int(its_port)), host, int(port)))
    print("ready", flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


asyncio.run(main(sys.argv[1:]))
