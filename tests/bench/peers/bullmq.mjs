// Plays BullMQ for tests/bench: the same words and flags as `bench drive` (see tests/bench/drive.rs).
//
// Settings: what BullMQ's guide advises for speed. Bulk adds go in chunks, several at a time; workers share nothing; finished
// jobs are kept, as ours are, because the scenario asks for a status record of every job.

import { writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { Queue, Worker } from "bullmq";
import IORedis from "ioredis";

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    url: { type: "string" },
    runs: { type: "string" },
    jobs: { type: "string", default: "0" },
    first: { type: "string", default: "0" },
    "in-flight": { type: "string", default: "64" },
    concurrency: { type: "string", default: "64" },
    "every-ms": { type: "string", default: "20" },
    tenants: { type: "string" },
    lanes: { type: "string" },
  },
});
const role = positionals[0];
const jobs = Number(values.jobs);
const first = Number(values.first);
const inFlight = Number(values["in-flight"]);
const QUEUE = "parcels";
const BYTES = 200;
const CHUNK = 500;

const words = [];
let waiting = null;
const input = createInterface({ input: process.stdin });
input.on("line", (line) => {
  words.push(line);
  waiting?.();
});
let closed = false;
input.on("close", () => {
  closed = true;
  waiting?.();
});

async function until(word) {
  for (;;) {
    while (words.length > 0) if (words.shift() === word) return;
    if (closed) return;
    await new Promise((resolve) => {
      waiting = resolve;
    });
  }
}

const say = (line) => process.stdout.write(`${line}\n`);
const nowUs = () => Math.round((performance.timeOrigin + performance.now()) * 1000);

/** Letters that follow from the number, as in tests/bench/parcel.rs. */
function letters(number, length) {
  let state = Math.max(Math.imul(number, 2654435761) >>> 0, 1);
  const codes = new Uint8Array(length);
  for (let place = 0; place < length; place++) {
    state = (state ^ (state << 13)) >>> 0;
    state ^= state >>> 17;
    state = (state ^ (state << 5)) >>> 0;
    codes[place] = 97 + (state % 26);
  }
  return Buffer.from(codes).toString("latin1");
}

function parcel(number, at) {
  const bare = JSON.stringify({ number, at, text: "" }).length;
  return { number, at, text: letters(number, BYTES - bare) };
}

const connection = () => new IORedis(values.url, { maxRetriesPerRequest: null });

/** Runs `work` for 0..count with at most `width` of them at a time. */
async function each(count, width, work) {
  let next = 0;
  const one = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: Math.min(width, count) }, one));
}

async function produce() {
  const redis = connection();
  const queue = new Queue(QUEUE, { connection: redis });
  await queue.waitUntilReady();
  const parcels = Array.from({ length: role === "trickle" ? 0 : jobs }, (_, place) => parcel(first + place, 0));
  say("ready");
  await until("go");
  const started = performance.now();
  if (role === "one") {
    for (const data of parcels) await queue.add("parcel", data);
  } else if (role === "concurrent") {
    await each(jobs, inFlight, (place) => queue.add("parcel", parcels[place]));
  } else if (role === "bulk") {
    const chunks = Math.ceil(jobs / CHUNK);
    await each(chunks, Math.min(inFlight, 4), (place) =>
      queue.addBulk(parcels.slice(place * CHUNK, (place + 1) * CHUNK).map((data) => ({ name: "parcel", data }))),
    );
  } else if (role === "trickle") {
    const every = Number(values["every-ms"]);
    for (let number = 0; number < jobs; number++) {
      const wait = started + number * every - performance.now();
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
      await queue.add("parcel", parcel(number, nowUs()));
    }
  }
  const seconds = (performance.now() - started) / 1000;
  await queue.close();
  redis.disconnect();
  return seconds;
}

async function work() {
  const redis = connection();
  const runs = [];
  const worker = new Worker(
    QUEUE,
    async (job) => {
      runs.push(`${job.data.number} ${nowUs() - job.data.at}`);
    },
    { connection: redis, concurrency: Number(values.concurrency), autorun: false },
  );
  await worker.waitUntilReady();
  say("ready");
  await until("go");
  const started = performance.now();
  const running = worker.run();
  await until("stop");
  const seconds = (performance.now() - started) / 1000;
  await worker.close();
  await running;
  redis.disconnect();
  writeFileSync(values.runs, runs.map((run) => `${run}\n`).join(""));
  return seconds;
}

const seconds = await (role === "work" ? work() : produce());
say(JSON.stringify({ seconds }));
process.exit(0);
