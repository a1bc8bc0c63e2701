// Jobs through BullMQ: `add` asks for them with many clients, `work` does them.
//
//     node bullmq.mjs work PORT COUNT none|process
//     node bullmq.mjs add PORT COUNT
import { spawn } from "node:child_process";
import { Queue, Worker } from "bullmq";

const [what, port, count, work] = process.argv.slice(2);
const CLIENTS = 32;
const PLACES = 64;
const connection = { host: "127.0.0.1", port: Number(port) };

const spawned = () =>
  new Promise((done, failed) => {
    spawn("sh", ["-c", "true"], { stdio: "ignore" }).on("exit", done).on("error", failed);
  });

if (what === "work") {
  let ended = 0;
  const handler = work === "process" ? spawned : async () => {};
  const worker = new Worker("q", handler, { connection, concurrency: PLACES });
  worker.on("completed", () => {
    ended += 1;
    if (ended === Number(count)) {
      console.log(Date.now() / 1000);
      process.exit(0);
    }
  });
  await worker.waitUntilReady();
  console.log("ready");
} else {
  const queue = new Queue("q", { connection });
  await queue.waitUntilReady();
  const began = Date.now() / 1000;
  let at = 0;
  const client = async () => {
    while (at < Number(count)) {
      at += 1;
      await queue.add("job", { n: at });
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  console.log(began);
  process.exit(0);
}
