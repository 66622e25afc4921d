// A disk that fails, fills up, lies, and loses what was not synced: no acknowledgement goes out for what is not
// durable, the server says what is wrong, serves reads, and goes on by itself once the disk does.
//
// SYNC_TEST_DISK_POINTS: how many failing points are tried; SYNC_TEST_POWER_CUTS: how often the power goes;
// SYNC_TEST_SEED repeats a run.
import test from 'node:test';
import assert from 'node:assert/strict';
import { BadDisk } from './lib/bad-disk.mjs';
import { cell, factsOf, Writer } from './lib/facts.mjs';
import { HttpClient, request } from './lib/http.mjs';
import { site } from './lib/ids.mjs';
import { Ledger } from './lib/ledger.mjs';
import { Random, runSeed } from './lib/random.mjs';
import { runBinary } from './lib/server.mjs';
import { Session } from './lib/session.mjs';
import { until } from './lib/wait.mjs';

const POINTS = Number(process.env.SYNC_TEST_DISK_POINTS ?? 40);
const CUTS = Number(process.env.SYNC_TEST_POWER_CUTS ?? 8);
const EIO = 5;
const ENOSPC = 28;
// A small write buffer, so that logs become tables, and MANIFESTs grow, within a few dozen batches.
const SETTINGS = { 'storage.shards': 1, 'storage.writeBufferBytes': 65536 };
const DB = 'db';

class Load {
  constructor(server, seed) {
    this.server = server;
    this.random = new Random(seed);
    this.writer = new Writer(site(1));
    this.ledger = new Ledger();
    this.number = 0;
  }

  batch() {
    this.number += 1;
    return [this.writer.transaction(Array.from({ length: this.random.between(1, 3) }, (_, n) =>
      cell('t', [this.number, n], 'v', 'x'.repeat(this.random.below(4000)))))];
  }

  // Sends one batch; true when it was acknowledged. Any other answer must be one to try again after.
  async write() {
    const batch = this.batch();
    const entry = this.ledger.begin(DB, batch);
    const answer = await new HttpClient(this.server, this.writer.site).post(DB, batch);
    if (answer.status === 200) this.ledger.acknowledge(entry);
    else {
      assert.equal(answer.status, 503, answer.text);
      assert.equal(answer.json.error.code, 'APPLY_CHANGES_FAILED');
      assert.ok(answer.headers['retry-after'] !== undefined);
    }
    return answer.status === 200;
  }

  async check() {
    const { sets } = await new HttpClient(this.server, site(9)).readAll(DB);
    this.ledger.assertKept(DB, sets);
  }
}

test('each failing point in turn: refused, recovered, nothing lost', async (t) => {
  const seed = runSeed();
  t.diagnostic(`SYNC_TEST_SEED=${seed} SYNC_TEST_DISK_POINTS=${POINTS}`);
  const random = new Random(seed);
  const disk = new BadDisk();
  const server = await disk.start(t, SETTINGS);
  const load = new Load(server, seed);
  const kinds = ['write', 'sync', 'short', 'torn', 'open', 'rename', 'truncate', 'all'];
  let refused = 0;
  for (let point = 0; point < POINTS; point++) {
    const kind = kinds[point % kinds.length];
    const times = random.pick([1, 1, 2, 5, 40]);
    const what = `point ${point}: ${kind}, ${times} times`;
    const before = disk.failures;
    disk.arm(kind, 1 + Math.floor(point / kinds.length) + random.below(3), times, random.pick([EIO, ENOSPC]));
    let failed = false;
    for (let n = 0; n < 40 && !failed && disk.failures === before; n++) failed = !(await load.write());
    refused += failed;
    disk.heal();
    await until(() => load.write(), `${what}: a write to be accepted again\n${server.logText()}`);
    if (point % 8 !== 7) continue;
    await load.check();
    await server.kill();
    disk.cutPower(random);
    await server.start();
    await load.check();
  }
  assert.ok(refused >= POINTS / 8, `${refused} of ${POINTS} points were felt by a writer`);
  t.diagnostic(`${load.ledger.acknowledgedBatches} batches acknowledged, ${disk.failures} calls failed since the last cut`);
});

test('while the disk takes no writes, reads are served, and the server says so', async (t) => {
  const disk = new BadDisk();
  const server = await disk.start(t, SETTINGS);
  const load = new Load(server, 1);
  for (let n = 0; n < 30; n++) assert.ok(await load.write());
  const session = await Session.open(server, { db: DB, site: site(3) });
  const ready = async () => (await request(server.base, { path: '/readyz' })).status;
  assert.equal(await ready(), 200);

  disk.arm('all', 1, 1e9, ENOSPC);
  assert.equal(await load.write(), false);
  assert.equal(await ready(), 503);
  assert.equal((await request(server.base, { path: '/status' })).json.data.storeWritable, false);
  assert.equal((await request(server.base, { path: '/healthz' })).status, 200, 'a restart would not help');
  const answer = await session.request(
    { type: 'apply_changes', changes: [new Writer(site(3)).transaction(cell('t', ['ws'], 'v', 1))], requestId: 'r' },
    ['apply_result', 'error']);
  assert.deepEqual([answer.type, answer.code, answer.fatal], ['error', 'APPLY_CHANGES_ERROR', false]);
  assert.match(server.logText(), /apply\.failed/);
  await until(() => /store\.closed.*(No space left|cannot be written)/.test(server.logText()), 'store.closed in the log');

  await load.check();
  const chunks = await new HttpClient(server, site(9)).snapshot(DB);
  assert.equal(chunks.at(-1).type, 'footer');
  assert.ok(factsOf((await session.changes()).changeSets).length > 0);

  disk.heal();
  await until(async () => (await ready()) === 200, 'readyz to come back, without a write');
  assert.equal((await request(server.base, { path: '/status' })).json.data.storeWritable, true);
  await session.apply([new Writer(site(3)).transaction(cell('t', ['ws'], 'v', 2))]);
  assert.ok(await load.write());
  await server.kill();
  disk.cutPower(new Random(1));
  await server.start();
  await load.check();
});

test('the power goes: what was acknowledged is on the disk', async (t) => {
  const seed = runSeed() + 2;
  t.diagnostic(`SYNC_TEST_SEED=${seed - 2} SYNC_TEST_POWER_CUTS=${CUTS}`);
  const random = new Random(seed);
  const disk = new BadDisk();
  const server = await disk.start(t, SETTINGS);
  const load = new Load(server, seed);
  for (let cut = 0; cut < CUTS; cut++) {
    const writing = Array.from({ length: 4 }, async () => {
      try {
        while (server.child !== undefined) await load.write();
      } catch (error) {
        if (error.code === 'ERR_ASSERTION') throw error; // others: the connection went with the server
      }
    });
    const acks = load.ledger.acknowledgedBatches + 1 + random.below(40);
    await until(() => load.ledger.acknowledgedBatches >= acks, 'acknowledgements');
    await server.kill();
    await Promise.all(writing);
    disk.cutPower(random);
    await server.start();
    await load.check();
  }
  t.diagnostic(`${load.ledger.acknowledgedBatches} batches acknowledged over ${CUTS} power cuts`);
});

// Here no log becomes a table meanwhile: a lie about that would take older data with it, which nobody can help.
test('a disk that only says it has synced: what was synced before is kept, and the damage is told', async (t) => {
  const disk = new BadDisk();
  const server = await disk.start(t, { 'storage.shards': 1 });
  const honest = new Load(server, 1);
  for (let n = 0; n < 30; n++) assert.ok(await honest.write());
  disk.arm('lie');
  const lied = new Load(server, 2);
  lied.writer = new Writer(site(2));
  lied.number = 1000;
  for (let n = 0; n < 60; n++) assert.ok(await lied.write(), 'nobody can tell a lie');
  await server.kill();
  assert.ok(disk.cutPower(new Random(1), { nothing: true }) > 0);
  disk.heal();
  try {
    await server.start();
  } catch (error) {
    assert.match(error.message, /store\.damaged.*store repair/);
    const repaired = await runBinary(['store', 'repair', disk.dataDir]);
    assert.equal(repaired.code, 0, repaired.stdout + repaired.stderr);
    await server.start();
  }
  await honest.check();
  assert.ok(await honest.write());
});
