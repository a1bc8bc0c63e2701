"""So many items of a task, 50 at a time, each a shell that does nothing: prefect_items.py COUNT."""
import subprocess
import sys
import time

from prefect import flow, task
from prefect.task_runners import ThreadPoolTaskRunner


@task
def item(n):
    subprocess.run(["sh", "-c", "true"], check=True)


@flow(task_runner=ThreadPoolTaskRunner(max_workers=50))
def many(count):
    item.map(range(count)).wait()


@flow
def first():
    pass


first()  # What only the first run costs is not what is measured.
began = time.time()
many(int(sys.argv[1]))
print(f"took {time.time() - began:.1f}")
