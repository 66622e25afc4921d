// Idle databases leave the disk once the object store has all of them, and come back when they are asked for: with
// every fact, under the same server site id, whatever happens on the way.
//
// SYNC_TEST_SEED repeats a run; SYNC_TEST_EVICTION_MS is how long the load goes on.
import test from 'node:test';
import assert from 'node:assert/strict';
import { readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { cell, factsOf, migration, remove, Writer } from './lib/facts.mjs';
import { HttpClient, request } from './lib/http.mjs';
import { site } from './lib/ids.mjs';
import { Ledger } from './lib/ledger.mjs';
import { Random, runSeed } from './lib/random.mjs';
import { runBinary, Server, startServer, temporaryDirectory } from './lib/server.mjs';
import { Session } from './lib/session.mjs';
import { until, within } from './lib/wait.mjs';

const LOAD_MS = Number(process.env.SYNC_TEST_EVICTION_MS ?? 2500);
const PATIENT_MS = 30_000;

function settings(objects, more = {}) {
  return {
    'object.dir': objects,
    'object.logTickMs': 20,
    'diskEviction.enabled': true,
    'diskEviction.idleMs': 200,
    ...more,
  };
}

async function metric(server, name) {
  const { text } = await request(server.base, { path: '/metrics' });
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1] ?? NaN);
}

const evictions = (server, count) => until(async () => (await metric(server, 'sync_evictions_total')) >= count,
  () => `${count} evictions:\n${server.logText()}`, PATIENT_MS);

// The removal, too, has ended.
const gone = (server, db) => until(async () => {
  await request(server.base, { path: '/healthz' });
  return server.log.some((line) => line.includes('evict.done') && line.includes(`db=${db} `));
}, () => `${db} to be gone:\n${server.logText()}`, PATIENT_MS);

async function content(server, db, reader = site(99)) {
  const { sets } = await new HttpClient(server, reader).readAll(db);
  return factsOf(sets).map((fact) => JSON.stringify(fact)).sort();
}

async function siteOf(server, db) {
  const session = await Session.open(server, { db, site: site(98) });
  await session.close();
  return session.ack.serverSiteId;
}

async function fill(server, db, writer, count = 30) {
  const client = new HttpClient(server, writer.site);
  await client.apply(db, writer.transaction(migration('create_table', 't')));
  for (let i = 0; i < count; i++) await client.apply(db, writer.transaction(cell('t', [i], 'a', 'x'.repeat(i * 50))));
  await client.apply(db, writer.transaction(cell('t', [0], 'a', 'again'), remove('t', [1], { priorRow: [1, 'x'] })));
}

test('an idle database leaves the disk and comes back as it was, while one in use stays', async (t) => {
  const objects = temporaryDirectory();
  const server = await startServer(t, { settings: settings(objects) });
  const writer = new Writer(site(1));
  await fill(server, 'idle', writer);
  const busy = await Session.open(server, { db: 'busy', site: writer.site });
  await busy.apply([writer.transaction(cell('t', [1], 'a', 1))]);
  const serverSite = await siteOf(server, 'idle');
  const wanted = await content(server, 'idle');
  await gone(server, 'idle');
  assert.ok(await metric(server, 'sync_evictions_total') >= 1);

  assert.deepEqual(await content(server, 'idle'), wanted);
  assert.equal(await siteOf(server, 'idle'), serverSite);
  assert.ok(await metric(server, 'sync_restores_total') >= 1);
  await new HttpClient(server, writer.site).apply('idle', writer.transaction(cell('t', [2], 'a', 'later')));
  assert.equal((await content(server, 'idle')).length, wanted.length);
  await busy.apply([writer.transaction(cell('t', [2], 'a', 2))]);
  assert.ok(!server.log.some((line) => line.includes('evict.done') && line.includes('db=busy ')), server.logText());
});

test('after it left, a killed server, or one at which it was written to, gives it back under the same id', async (t) => {
  const objects = temporaryDirectory();
  const server = await startServer(t, { settings: settings(objects) });
  const writer = new Writer(site(1));
  await fill(server, 'app', writer);
  const serverSite = await siteOf(server, 'app');
  for (let round = 0; round < 2; round++) {
    await new HttpClient(server, writer.site).apply('app', writer.transaction(cell('t', [100 + round], 'a', round)));
    const wanted = await content(server, 'app');
    await gone(server, 'app');
    await server.kill(); // the log cannot tell that nothing is missing, but the note on the disk can
    await server.start();
    assert.deepEqual(await content(server, 'app'), wanted);
    assert.equal(await siteOf(server, 'app'), serverSite);
  }
});

test('killed in the middle of a removal, no server gives out a part', async (t) => {
  const random = new Random(runSeed(t));
  const objects = temporaryDirectory();
  const server = await startServer(t, { settings: settings(objects) });
  const writer = new Writer(site(1));
  const client = new HttpClient(server, writer.site);
  const big = Array.from({ length: 6000 }, (_, i) => cell('t', [i], 'a', i));
  await client.apply('big', writer.transaction(big));
  const serverSite = await siteOf(server, 'big');
  for (let round = 0; round < 3; round++) {
    await evictions(server, 1); // it has just been marked, and 13 steps follow
    for (let turns = random.below(3); turns > 0; turns--) await request(server.base, { path: '/healthz' });
    await server.kill();
    await server.start();
    const { sets } = await new HttpClient(server, site(99)).readAll('big');
    assert.equal(factsOf(sets).length, big.length);
    assert.equal(await siteOf(server, 'big'), serverSite);
  }
});

test('without the object store that has them, databases that left are not begun anew', async (t) => {
  const objects = temporaryDirectory();
  const server = await startServer(t, { settings: settings(objects) });
  await fill(server, 'app', new Writer(site(1)), 3);
  await gone(server, 'app');
  await server.stop();

  const without = await runBinary(['--data-dir', server.dataDir, '--host', '127.0.0.1', '--port', '0']);
  assert.equal(without.code, 1);
  assert.match(without.stderr, /database app, and maybe others, has left this disk for an object store/);

  rmSync(path.join(objects, 'objects/snapshots'), { recursive: true });
  rmSync(path.join(objects, 'objects/log'), { recursive: true });
  rmSync(path.join(objects, 'objects/meta'), { recursive: true });
  await server.start();
  const answer = await new HttpClient(server, site(2)).get('/app/changes');
  assert.equal(answer.status, 503);
  assert.match(server.logText(), /it left this disk for the object store, which has nothing of it any more/);
});

test('a snapshot that is gone is taken again before its database leaves', async (t) => {
  const objects = temporaryDirectory();
  const server = await startServer(t, { settings: settings(objects, { 'object.snapshotIntervalMs': 1000 }) });
  const directory = path.join(objects, 'objects/snapshots/app');
  const session = await Session.open(server, { db: 'app', site: site(1) });
  await session.apply([new Writer(site(1)).transaction(cell('t', [1], 'a', 1))]);
  await until(async () => (await metric(server, 'sync_snapshots_total')) >= 1, 'the snapshot', PATIENT_MS);
  const [first] = readdirSync(directory);
  rmSync(path.join(directory, first));
  await session.close();
  await gone(server, 'app');
  assert.match(server.logText(), /evict\.no_snapshot/);
  assert.equal((await content(server, 'app')).length, 1);
});

// Writes to databases picked at random, with pauses in which they leave the disk: what waits for one that comes back
// is told within its time, or to come again.
async function write(run, number) {
  const random = new Random(run.random.below(1e9));
  const writer = new Writer(site(100 + number));
  const client = new HttpClient(run.server, writer.site);
  for (let count = 0; Date.now() < run.until; count++) {
    const db = `db-${random.below(run.databases)}`;
    const sets = [writer.transaction(cell('t', [number, count], 'v', 'x'.repeat(random.below(300))))];
    const entry = run.ledger.begin(db, sets);
    if (number % 2 === 0) {
      const answer = await client.post(db, sets);
      if (answer.status === 503) continue; // not applied here; it may be in the log all the same
      assert.equal(answer.status, 200, answer.text);
    } else {
      const session = await Session.open(run.server, { db, site: writer.site });
      await session.apply(sets);
      await session.close();
    }
    run.ledger.acknowledge(entry);
    run.rounds++;
  }
}

test('eviction and restore under load lose nothing', async (t) => {
  const objects = temporaryDirectory();
  const server = await startServer(t, { settings: settings(objects, { 'storage.shards': 2 }) });
  const random = new Random(runSeed(t));
  const run = { server, random, databases: 120, ledger: new Ledger(), rounds: 0, until: Date.now() + LOAD_MS };
  const busy = { ...run, databases: 2 };
  await within(Promise.all([
    ...Array.from({ length: 4 }, (_, i) => write(run, i)),
    ...Array.from({ length: 2 }, (_, i) => write(busy, 50 + i)),
  ]), () => `the writers:\n${server.logText()}`, LOAD_MS + PATIENT_MS);
  const written = [...new Set(run.ledger.batches.map(({ db }) => db))];
  await evictions(server, 1);
  await until(async () => (await metric(server, 'sync_evictions_total')) >= written.length / 2,
    () => `half of ${written.length} to leave:\n${server.logText()}`, PATIENT_MS);
  for (const db of written) run.ledger.assertKept(db, (await new HttpClient(server, site(99)).readAll(db)).sets);
  t.diagnostic(`${run.ledger.acknowledgedBatches} batches, ${await metric(server, 'sync_evictions_total')} evictions, `
    + `${await metric(server, 'sync_restores_total')} restores`);
  assert.ok((await metric(server, 'sync_restores_total')) > 0);
  assert.equal(await metric(server, 'sync_eviction_failures_total'), 0);
});
