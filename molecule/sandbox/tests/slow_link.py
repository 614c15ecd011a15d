"""A TCP relay that makes a connection slow and counts its bytes. For tests."""

import asyncio
import contextlib
import threading


class SlowLink:
    """A context manager. All connections to its `port` share one line: `rate` bytes per second and `delay` seconds in each direction."""

    def __init__(self, to, rate=1_000_000, delay=0.06):
        self.to, self.rate, self.delay, self.loop = to, rate, delay, asyncio.new_event_loop()
        self.sent, self.received = [0, 0.0], [0, 0.0]  # bytes since the start, and the time when the line is free again

    def __enter__(self):
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.server = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._connection, "127.0.0.1", 0), self.loop).result(10)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_):
        asyncio.run_coroutine_threadsafe(self._end(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)

    async def _end(self):
        self.server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _connection(self, reader, writer):
        with contextlib.suppress(asyncio.CancelledError, OSError):
            there, back = await asyncio.open_connection(*self.to)
            await asyncio.gather(self._pass(reader, back, self.sent), self._pass(there, writer, self.received))

    async def _pass(self, reader, writer, line):
        """Reads ahead as much as fits on the line, and delivers each chunk when its last byte would have arrived."""
        under_way = asyncio.Queue(8)
        delivering = self.loop.create_task(self._deliver(under_way, writer))
        while data := await reader.read(16384):
            line[:] = line[0] + len(data), max(self.loop.time(), line[1]) + len(data) / self.rate
            await under_way.put((line[1] + self.delay, data))
        await under_way.put(None)
        await delivering

    async def _deliver(self, under_way, writer):
        while chunk := await under_way.get():
            await asyncio.sleep(chunk[0] - self.loop.time())
            writer.write(chunk[1])
            await writer.drain()
        writer.close()
