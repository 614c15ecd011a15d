"""A TCP relay that makes a connection slow and counts its bytes: for tests, and for `python slow_link.py HOST:PORT`, which prints its own port."""

import asyncio
import contextlib
import sys
import threading

CHUNK = 16384


class SlowLink:
    """One line for all connections: `rate` bytes per second and `delay` seconds, each way. Use it as a context manager."""

    def __init__(self, to, rate=1_000_000, delay=0.06):
        self.to, self.rate, self.delay = to, rate, delay
        self.sent, self.received = [0, 0.0], [0, 0.0]  # bytes since the start; the time at which the line is free again
        self.loop = asyncio.new_event_loop()

    def __enter__(self):
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.server = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._connection, "127.0.0.1", 0), self.loop).result(10)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.loop.create_task, self._end())
        self.thread.join(10)

    async def _end(self):
        self.server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        self.loop.stop()

    async def _connection(self, reader, writer):
        with contextlib.suppress(asyncio.CancelledError, OSError):
            there, back = await asyncio.open_connection(*self.to)
            await asyncio.gather(self._pass(reader, back, self.sent), self._pass(there, writer, self.received))

    async def _pass(self, reader, writer, line):
        """Reads ahead as much as fits on the line, and delivers each chunk when its last byte would have arrived."""
        under_way = asyncio.Queue(8)

        async def deliver():
            while chunk := await under_way.get():
                await asyncio.sleep(chunk[0] - self.loop.time())
                writer.write(chunk[1])
                await writer.drain()
            writer.close()

        delivering = self.loop.create_task(deliver())
        while data := await reader.read(CHUNK):
            line[:] = line[0] + len(data), max(self.loop.time(), line[1]) + len(data) / self.rate
            await under_way.put((line[1] + self.delay, data))
        await under_way.put(None)
        await delivering


if __name__ == "__main__":
    host, port = sys.argv[1].rsplit(":", 1)
    with SlowLink((host, int(port))) as link:
        print(link.port, flush=True)
        threading.Event().wait()
