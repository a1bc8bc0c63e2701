"""Jobs through Procrastinate: `add` asks for them with many clients, `work` does them.

    python procrastinate_jobs.py work PORT COUNT none|process
    python procrastinate_jobs.py add PORT COUNT
"""
import asyncio
import sys
import time

import procrastinate

CLIENTS = 32
PLACES = 64
what, port, count, *rest = sys.argv[1:]
count = int(count)
app = procrastinate.App(connector=procrastinate.PsycopgConnector(
    conninfo=f"host=127.0.0.1 port={port} user=postgres dbname=postgres", max_size=CLIENTS))
ended = 0
over = asyncio.Event()


@app.task(name="job", queue="q")
async def job(n):
    global ended
    if rest == ["process"]:
        process = await asyncio.create_subprocess_exec("sh", "-c", "true")
        await process.wait()
    ended += 1
    if ended == count:
        over.set()


async def work():
    async with app.open_async():
        if not await app.check_connection_async():
            await app.schema_manager.apply_schema_async()
        worker = asyncio.create_task(app.run_worker_async(
            queues=["q"], concurrency=PLACES, install_signal_handlers=False))
        print("ready", flush=True)
        await over.wait()
        print(time.time(), flush=True)
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)


async def add():
    async with app.open_async():
        print(time.time(), flush=True)
        numbers = iter(range(count))

        async def client():
            for n in numbers:
                await job.defer_async(n=n)

        await asyncio.gather(*(client() for _ in range(CLIENTS)))


asyncio.run(work() if what == "work" else add())
