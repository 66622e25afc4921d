// kill -9 at random moments, again and again, while many clients write: every acknowledged fact is there, none
// twice, no batch in part, and readers who keep their watermarks over the crashes miss nothing.
//
// SYNC_TEST_KILLS sets how often the server is killed (10000 for a long run), SYNC_TEST_SEED repeats a run.
import test from 'node:test';
import assert from 'node:assert/strict';
import { cell, factsOf, Writer } from './lib/facts.mjs';
import { HttpClient } from './lib/http.mjs';
import { site } from './lib/ids.mjs';
import { keyOf, Ledger } from './lib/ledger.mjs';
import { Random, runSeed } from './lib/random.mjs';
import { startServer } from './lib/server.mjs';
import { Session } from './lib/session.mjs';

const KILLS = Number(process.env.SYNC_TEST_KILLS ?? 30);
const DATABASES = ['north', 'south', 'east'];
const HTTP_WRITERS = 6;
const SESSION_WRITERS = 6;
const KILLS_AT_ONCE = 100;
const ACKS_MAX = 150; // between two kills

// Counts acknowledgements and tells when the one came at which the server is to be killed.
class Countdown {
  start(count) {
    this.left = count;
    return new Promise((resolve) => (this.reached = resolve));
  }

  count() {
    if ((this.left -= 1) === 0) this.reached();
  }
}

function randomBatch(random, writer, number) {
  let fact = 0;
  return Array.from({ length: random.between(1, 4) }, () =>
    writer.transaction(Array.from({ length: random.between(1, 5) }, () =>
      cell('t', [writer.site, number, (fact += 1)], 'v', 'x'.repeat(random.below(400))))));
}

// What began with a server that was killed may fail, and its client may notice only when the next one is up.
function isTrouble(run, life) {
  return life !== undefined && life === run.life;
}

// Writes until told to stop; whatever ends its connection, it goes on once the server is back.
async function write(run, writer, random, connect) {
  for (let number = 0; !run.over; number++) {
    const life = run.life;
    try {
      const send = await connect(random.pick(DATABASES));
      for (; !run.over; number++) {
        const batch = randomBatch(random, writer, number);
        const entry = run.ledger.begin(send.db, batch);
        await send(batch);
        run.ledger.acknowledge(entry);
        run.countdown.count();
      }
    } catch (error) {
      if (isTrouble(run, life)) run.trouble.push(error);
      await run.back();
    }
  }
}

function overHttp(run, writer) {
  return async (db) => {
    const client = new HttpClient(run.server, writer.site);
    return Object.assign((batch) => client.apply(db, batch), { db });
  };
}

function overWebSocket(run, writer) {
  return async (db) => {
    const session = await Session.open(run.server, { db, site: writer.site });
    return Object.assign((batch) => session.apply(batch), { db });
  };
}

// Reads deltas from its watermark while the others write, and remembers every fact it was given.
async function read(run, reader) {
  while (!run.over) {
    const life = run.life;
    try {
      await poll(run, reader);
    } catch (error) {
      if (isTrouble(run, life)) run.trouble.push(error);
      await run.back();
    }
  }
}

async function poll(run, reader) {
  const { sets, watermark } = await new HttpClient(run.server, reader.site).readAll(reader.db, reader.watermark);
  for (const fact of factsOf(sets)) reader.seen.set(keyOf(fact), (reader.seen.get(keyOf(fact)) ?? 0) + 1);
  reader.watermark = watermark;
}

// A long run (SYNC_TEST_KILLS=10000) is many of these, each with a new store, so that what is compared stays small.
async function crashes(t, settings, seed) {
  t.diagnostic(`SYNC_TEST_SEED=${seed} SYNC_TEST_KILLS=${KILLS}`);
  let acknowledged = 0;
  for (let done = 0; done < KILLS; done += KILLS_AT_ONCE) {
    acknowledged += await round(t, settings, seed + done, Math.min(KILLS_AT_ONCE, KILLS - done));
    if (KILLS > KILLS_AT_ONCE) t.diagnostic(`${done + KILLS_AT_ONCE} kills: ${acknowledged} batches acknowledged`);
  }
  t.diagnostic(`${acknowledged} batches acknowledged over ${KILLS} kills`);
}

async function round(t, settings, seed, kills) {
  const random = new Random(seed);
  const server = await startServer(t, { settings });
  let up = Promise.resolve();
  const run = { server, ledger: new Ledger(), countdown: new Countdown(), trouble: [], over: false, back: () => up,
    life: 1 };
  const readers = DATABASES.map((db, n) => ({ db, site: site(500 + n), seen: new Map() }));
  let armed = run.countdown.start(random.between(1, ACKS_MAX));
  const working = [
    ...Array.from({ length: HTTP_WRITERS }, (_, n) => new Writer(site(100 + n)))
      .map((writer) => write(run, writer, new Random(random.below(1e9)), overHttp(run, writer))),
    ...Array.from({ length: SESSION_WRITERS }, (_, n) => new Writer(site(200 + n)))
      .map((writer) => write(run, writer, new Random(random.below(1e9)), overWebSocket(run, writer))),
    ...readers.map((reader) => read(run, reader)),
  ];
  for (let kill = 0; kill < kills; kill++) {
    await armed;
    run.life = undefined;
    let restarted;
    up = new Promise((resolve) => (restarted = resolve));
    await server.kill();
    await server.start();
    armed = run.countdown.start(random.between(1, ACKS_MAX));
    run.life = kill + 2;
    restarted();
  }
  await armed;
  run.over = true;
  await Promise.all(working);
  assert.deepEqual(run.trouble, [], 'requests that failed while the server was up');
  assert.ok(run.ledger.acknowledgedBatches >= kills);

  for (const reader of readers) {
    await poll(run, reader);
    const { sets } = await new HttpClient(server, site(999)).readAll(reader.db);
    run.ledger.assertKept(reader.db, sets);
    const missed = factsOf(sets).map(keyOf).filter((key) => !reader.seen.has(key));
    assert.deepEqual(missed, [], `what the reader of ${reader.db} missed`);
    const twice = [...reader.seen].filter(([, count]) => count > 1).map(([key]) => key);
    assert.deepEqual(twice, [], `what the reader of ${reader.db} got twice`);
  }
  await server.dispose();
  return run.ledger.acknowledgedBatches;
}

test('nothing acknowledged is lost, nothing is there twice (fsync)', (t) => crashes(t, {}, runSeed()));

test('nor where the operating system keeps what is written (os)', (t) =>
  crashes(t, { 'storage.durability': 'os', threads: 2 }, runSeed() + 1));

test('killed while it starts, the server starts again with everything', async (t) => {
  const random = new Random(runSeed());
  const server = await startServer(t);
  const writer = new Writer(site(1));
  const sets = Array.from({ length: 50 }, (_, n) => writer.transaction(cell('t', [n], 'a', 'x'.repeat(500))));
  await new HttpClient(server, writer.site).apply('db', sets);
  await server.kill();
  for (let n = 0; n < 10; n++) {
    const starting = server.start().catch(() => {});
    for (let turns = random.below(200); turns > 0; turns--) await new Promise(setImmediate);
    await server.kill();
    await starting;
  }
  await server.start();
  assert.deepEqual((await new HttpClient(server, site(2)).readAll('db')).sets, sets);
});
