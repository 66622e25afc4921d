// Retention (protocol section 8.4): tombstones older than the horizon go, a watermark that is too old for what
// went is told, and nothing goes that a connected session still lacks.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { assertError, assertRefused } from './lib/errors.mjs';
import { cell, factsOf, remove, transactionAt, watermarkOf } from './lib/facts.mjs';
import { HttpClient } from './lib/http.mjs';
import { site } from './lib/ids.mjs';
import { freshDatabase } from './lib/names.mjs';
import { startServer } from './lib/server.mjs';
import { Session } from './lib/session.mjs';
import { StockClient } from './lib/stock-client.mjs';
import { until } from './lib/wait.mjs';

const settings = { 'sync.retentionHorizonMs': 300, 'sync.sweepIntervalMs': 100, 'storage.shards': 1 };
const server = await startServer({ after }, { settings });
const keeping = await startServer({ after }, { settings: { 'sync.sweepIntervalMs': 50 } });
const A = site(1);
const WALL = 1_700_000_000_000;
const writer = new HttpClient(server, A);
const reader = new HttpClient(server, site(99));
const at = (n, ...drafts) => transactionAt(A, WALL + n, 0, drafts);

const tombstones = async (db, client = reader) => (await client.snapshot(db))
  .filter(({ type }) => type === 'tombstone').flatMap(({ entries }) => entries);
const pruned = (db) => until(async () => (await tombstones(db)).length === 0, `the tombstones of ${db} to be pruned`);

// Sweeps pass over all databases: when what was deleted later elsewhere is gone, twice, a sweep has been here.
async function sweptSinceNow() {
  for (let n = 0; n < 2; n++) {
    const db = freshDatabase('control');
    await writer.apply(db, at(1, remove('t', [1])));
    await pruned(db);
  }
}

test('a tombstone older than the horizon goes, live rows stay', async () => {
  const db = freshDatabase('prune');
  await writer.apply(db, at(1, cell('t', [1], 'a', 1), remove('t', [2]), cell('u', [1], 'a', 1)));
  assert.equal((await tombstones(db)).length, 1);
  await pruned(db);
  const { sets } = await reader.readAll(db);
  assert.deepEqual(factsOf(sets).map(({ type }) => type), ['column', 'column']);
});

test('age counts from the arrival of the delete, not from its HLC', async () => {
  const db = freshDatabase('arrival');
  await new HttpClient(keeping, A).apply(db, transactionAt(A, 1000, 0, [remove('t', [1])]));
  const control = freshDatabase('control');
  await writer.apply(control, at(1, remove('t', [1])));
  await pruned(control);
  assert.equal((await tombstones(db, new HttpClient(keeping, site(99)))).length, 1, 'the default horizon is long');
});

test('a watermark older than what was pruned is 410 over HTTP', async () => {
  const db = freshDatabase('gone');
  await writer.apply(db, at(1, cell('t', [1], 'a', 1)));
  const mark = watermarkOf((await reader.delta(db)).changes);
  await writer.apply(db, at(2, remove('t', [1])));
  const fresh = watermarkOf((await reader.delta(db)).changes);
  await pruned(db);
  const answer = await reader.get(`/${db}/changes?sinceHLC=${encodeURIComponent(mark)}`);
  assertRefused(answer, 410, 'SNAPSHOT_REQUIRED');
  assert.deepEqual((await reader.delta(db, fresh)).changes, [], 'one that has it all is not');
  assert.deepEqual(factsOf((await reader.delta(db)).changes), [], 'a reader without a watermark has nothing to lose');
});

test('a watermark older than what was pruned is an error over WebSocket, and then what still exists', async () => {
  const db = freshDatabase('gone-ws');
  await writer.apply(db, at(1, cell('t', [1], 'a', 1)));
  const mark = watermarkOf((await reader.delta(db)).changes);
  await writer.apply(db, at(2, remove('t', [1]), cell('t', [2], 'a', 'still there')));
  await pruned(db);
  const session = await Session.open(server, { db, site: site(3) });
  session.send({ type: 'get_changes', sinceHLC: mark });
  const text = assertError(await session.next(), 'SNAPSHOT_REQUIRED');
  assert.match(text, /SNAPSHOT_REQUIRED/, 'the text is all that the stock client shows');
  const { type, changeSets } = await session.next();
  assert.equal(type, 'changes');
  assert.deepEqual(factsOf(changeSets).map(({ value }) => value), ['still there']);
  assert.deepEqual((await session.changes(watermarkOf(changeSets))).changeSets, [], 'told once');
  await session.close();
});

test('a restart does not forget what was pruned', async (t) => {
  const own = await startServer(t, { settings });
  const db = freshDatabase('restart');
  const client = new HttpClient(own, A);
  const other = new HttpClient(own, site(99));
  await client.apply(db, at(1, cell('t', [1], 'a', 1)));
  const mark = watermarkOf((await other.delta(db)).changes);
  await client.apply(db, at(2, remove('t', [1])));
  await until(async () => (await tombstones(db, other)).length === 0, 'the tombstone to be pruned');
  await own.restart();
  assertRefused(await other.get(`/${db}/changes?sinceHLC=${encodeURIComponent(mark)}`), 410, 'SNAPSHOT_REQUIRED');
});

test('nothing is pruned that a connected session still lacks', async () => {
  const db = freshDatabase('held');
  await writer.apply(db, at(1, cell('t', [1], 'a', 1), cell('t', [2], 'a', 1)));
  const session = await Session.open(server, { db, site: site(3) });
  const mark = watermarkOf((await session.changes()).changeSets);
  await writer.apply(db, at(2, remove('t', [1])));
  await sweptSinceNow();
  assert.equal((await tombstones(db)).length, 1, 'the session has not moved its watermark past the delete');
  const { changeSets } = await session.changes(mark);
  assert.deepEqual(factsOf(changeSets).map(({ type }) => type), ['delete']);
  // The next get_changes says that it has the delete.
  assert.deepEqual((await session.changes(watermarkOf(changeSets))).changeSets, []);
  await pruned(db);
  await session.close();
});

test('a long poll holds nothing back', async () => {
  const db = freshDatabase('poll');
  await writer.apply(db, at(1, remove('t', [1])));
  const mark = watermarkOf((await reader.delta(db)).changes);
  const poll = reader.get(`/${db}/changes?sinceHLC=${encodeURIComponent(mark)}&wait=60`);
  await pruned(db);
  await writer.apply(db, at(2, cell('t', [2], 'a', 1)));
  assert.equal((await poll).status, 200);
});

test('what a session held back goes when the session is gone', async () => {
  const db = freshDatabase('left');
  await writer.apply(db, at(1, cell('t', [1], 'a', 1)));
  const session = await Session.open(server, { db, site: site(3) });
  await session.changes();
  await writer.apply(db, at(2, remove('t', [1])));
  await sweptSinceNow();
  assert.equal((await tombstones(db)).length, 1);
  await session.close();
  await pruned(db);
});

test('a checkpoint older than what was pruned gets a fresh stream', async () => {
  const db = freshDatabase('checkpoint');
  await writer.apply(db, at(1, cell('t', [1], 'a', 1), cell('u', [1], 'a', 1)));
  const [header] = await reader.snapshot(db);
  await writer.apply(db, at(2, remove('t', [1])));
  await pruned(db);
  const session = await Session.open(server, { db, site: site(3) });
  const chunks = await session.chunks({ type: 'resume_snapshot', checkpoint: { snapshotId: header.snapshotId, siteId: site(3),
    hlc: header.hlc, lastTableIndex: 0, lastEntryIndex: 0, completedTables: ['main.t'], entriesProcessed: 1,
    createdAt: Date.now() } });
  assert.notEqual(chunks[0].snapshotId, header.snapshotId);
  assert.deepEqual(chunks.filter(({ type }) => type === 'table-start').map(({ table }) => table), ['u']);
  await session.close();
});

test('once its tombstone is pruned, a row may be written again', async () => {
  const db = freshDatabase('again');
  await writer.apply(db, at(1, remove('t', [1])));
  assert.equal((await writer.apply(db, at(2, cell('t', [1], 'a', 1)))).skipped, 1);
  await pruned(db);
  assert.equal((await writer.apply(db, at(3, cell('t', [1], 'a', 1)))).applied, 1);
});

test('many tombstones are pruned while others write', async () => {
  const db = freshDatabase('many');
  await writer.apply(db, at(1, Array.from({ length: 20_000 }, (_, n) => remove('t', [n]))));
  const busy = freshDatabase('busy');
  let writes = 0;
  await until(async () => {
    writes += (await writer.apply(busy, at((writes += 1), cell('t', [writes], 'a', 1)))).applied;
    return (await tombstones(db)).length === 0;
  }, 'the tombstones to be pruned');
  assert.ok(writes > 0);
});

test('a stock client that comes back too late is told, in words', async () => {
  const db = freshDatabase('stock');
  const client = new StockClient(server, { db, site: site(4) });
  await client.connect();
  const pushed = client.until('applied'); // listening before it can happen, here as below
  await writer.apply(db, at(1, cell('t', [1], 'a', 1)));
  await pushed;
  await client.disconnect();
  const caughtUp = client.until('applied', ({ movesWatermark }) => movesWatermark && client.watermark !== undefined);
  await client.connect(); // takes the watermark of the write, by its delta
  await caughtUp;
  await client.disconnect();
  await writer.apply(db, at(2, remove('t', [1])));
  await pruned(db);
  const told = client.until('failed');
  await client.connect();
  assert.match((await told).message, /SNAPSHOT_REQUIRED/);
  await client.disconnect();
});
