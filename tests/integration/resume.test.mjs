// Resuming a snapshot (protocol section 7): checkpoints that are honoured, that cannot be, and malformed ones.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { assertError } from './lib/errors.mjs';
import { assertWellFramed } from './lib/compare.mjs';
import { cell, migration, remove, transactionAt } from './lib/facts.mjs';
import { HttpClient } from './lib/http.mjs';
import { hlc, readHlc, site } from './lib/ids.mjs';
import { freshDatabase } from './lib/names.mjs';
import { startServer } from './lib/server.mjs';
import { Session } from './lib/session.mjs';

const server = await startServer({ after });
const A = site(1);
const DEVICE = site(2);
const WALL = 1_700_000_000_000;
const at = (n, ...drafts) => transactionAt(A, WALL + n, 0, drafts);

async function filled() {
  const db = freshDatabase('resume');
  await new HttpClient(server, A).apply(db, ['t1', 't2', 't:3', 't.4'].map((table, n) =>
    at(n, migration('create_table', table), cell(table, [1], 'a', 1), cell(table, [2], 'a', 2), remove(table, [3]))));
  const session = await Session.open(server, { db, site: DEVICE });
  const chunks = await session.chunks();
  await session.next('handshake_ack');
  return { db, session, header: chunks[0], chunks };
}

const checkpointOf = (header, completedTables = [], more = {}) => ({
  snapshotId: header.snapshotId, siteId: DEVICE, hlc: header.hlc, lastTableIndex: completedTables.length - 1,
  lastEntryIndex: 0, completedTables, entriesProcessed: completedTables.length * 2, createdAt: Date.now(), ...more,
});
const resume = (session, checkpoint) => session.chunks({ type: 'resume_snapshot', checkpoint });
const tablesOf = (chunks) => chunks.filter(({ type }) => type === 'table-start').map(({ table }) => table).sort();
const tombstones = (chunks) => chunks.filter(({ type }) => type === 'tombstone')
  .flatMap(({ table, entries }) => entries.map(({ pk }) => `${table} ${pk}`)).sort();

test('a resumed stream repeats the checkpoint\'s id, site and hlc and leaves out completed tables', async () => {
  const { session, header } = await filled();
  const chunks = await resume(session, checkpointOf(header, ['main.t1', 'main.t:3']));
  assertWellFramed(chunks);
  assert.deepEqual([chunks[0].snapshotId, chunks[0].siteId, chunks[0].hlc], [header.snapshotId, DEVICE, header.hlc]);
  assert.deepEqual(tablesOf(chunks), ['t.4', 't2']);
  assert.deepEqual(tombstones(chunks), ['t.4 3', 't1 3', 't2 3', 't:3 3']);
  assert.equal(chunks.filter(({ type }) => type === 'schema-migration').length, 4);
  assert.deepEqual(await session.next(), session.ack, 'and a nudge at its end');
  await session.close();
});

test('nothing completed is the whole stream, everything completed the tombstones alone', async () => {
  const { session, header } = await filled();
  assert.deepEqual(tablesOf(await resume(session, checkpointOf(header))), ['t.4', 't1', 't2', 't:3']);
  const rest = await resume(session, checkpointOf(header, ['main.t1', 'main.t2', 'main.t:3', 'main.t.4']));
  assertWellFramed(rest);
  assert.deepEqual(tablesOf(rest), []);
  assert.equal(tombstones(rest).length, 4);
  await session.close();
});

test('unknown tables in a checkpoint are ignored', async () => {
  const { session, header } = await filled();
  const names = ['main.t1', 'main.never', 'other.t2', 't2', '', 'main.', '🙂', 'x'.repeat(5000)];
  assert.deepEqual(tablesOf(await resume(session, checkpointOf(header, names))), ['t.4', 't2', 't:3']);
  await session.close();
});

test('rows deleted after the checkpoint send no tombstone: the delta brings it', async () => {
  const { db, session, header } = await filled();
  await new HttpClient(server, A).apply(db, at(100, remove('t2', [1]), cell('t2', [9], 'a', 9)));
  await session.next('push_changes');
  const chunks = await resume(session, checkpointOf(header, ['main.t1']));
  assert.equal(chunks[0].snapshotId, header.snapshotId);
  assert.deepEqual(tombstones(chunks), ['t.4 3', 't1 3', 't2 3', 't:3 3']);
  const { changeSets } = await session.changes(chunks[0].hlc);
  assert.deepEqual(changeSets.flatMap(({ changes }) => changes.map(({ type }) => type)).sort(), ['column', 'delete']);
  await session.close();
});

test('a late delete with an old HLC is one that came after the checkpoint', async () => {
  const { db, session, header } = await filled();
  await new HttpClient(server, site(5)).apply(db, transactionAt(site(5), WALL - 1000, 0, [remove('t2', [1])]));
  await session.next('push_changes');
  assert.ok(!tombstones(await resume(session, checkpointOf(header))).includes('t2 1'));
  await session.close();
});

test('a checkpoint whose hlc this server did not make gets a fresh stream under a new id', async () => {
  const { session, header } = await filled();
  const { wall, counter, site: serverSite } = readHlc(header.hlc);
  const foreign = [hlc(wall, counter, site(77)), hlc(wall, counter, DEVICE), hlc(wall + 1_000_000, 0, serverSite)];
  for (const stamp of foreign) {
    const chunks = await resume(session, checkpointOf(header, ['main.t1'], { hlc: stamp }));
    assertWellFramed(chunks);
    assert.notEqual(chunks[0].snapshotId, header.snapshotId);
    assert.equal(chunks[0].hlc, header.hlc);
    assert.equal(chunks[0].siteId, session.ack.serverSiteId);
    assert.deepEqual(tablesOf(chunks), ['t.4', 't1', 't2', 't:3']);
  }
  await session.close();
});

test('a malformed checkpoint is SNAPSHOT_ERROR, and the connection stays', async () => {
  const { session, header } = await filled();
  const good = checkpointOf(header, ['main.t1']);
  const bad = [undefined, null, 5, 'x', [], {}];
  for (const key of ['snapshotId', 'siteId', 'hlc', 'completedTables']) {
    const { [key]: dropped, ...rest } = good;
    bad.push(rest, { ...good, [key]: null }, { ...good, [key]: 7 }, { ...good, [key]: {} });
  }
  bad.push({ ...good, completedTables: 'main.t1' }, { ...good, completedTables: [5] }, { ...good, completedTables: [null] },
    { ...good, hlc: 'short' }, { ...good, hlc: `${good.hlc}A` }, { ...good, siteId: 'short' });
  for (const checkpoint of bad) {
    assertError(await session.request({ type: 'resume_snapshot', checkpoint }, () => true), 'SNAPSHOT_ERROR');
  }
  assert.deepEqual((await resume(session, good))[0].snapshotId, header.snapshotId);
  await session.close();
});

test('a checkpoint is honoured on another connection and after a restart', async (t) => {
  const own = await startServer(t);
  const db = freshDatabase('restart');
  await new HttpClient(own, A).apply(db, [at(1, cell('t1', [1], 'a', 1)), at(2, cell('t2', [1], 'a', 1))]);
  const session = await Session.open(own, { db, site: DEVICE });
  const [header] = await session.chunks();
  await session.close();
  const again = await Session.open(own, { db, site: DEVICE });
  assert.deepEqual(tablesOf(await resume(again, checkpointOf(header, ['main.t1']))), ['t2']);
  await again.close();
  await own.restart();
  const later = await Session.open(own, { db, site: DEVICE });
  const chunks = await resume(later, checkpointOf(header, ['main.t2']));
  assert.equal(chunks[0].snapshotId, header.snapshotId);
  assert.deepEqual(tablesOf(chunks), ['t1']);
  await later.close();
});

test('resume_snapshot works on a connection that lost its stream halfway', async () => {
  const db = freshDatabase('halfway');
  for (let n = 0; n < 6; n++) {
    await new HttpClient(server, A).apply(db, at(n, Array.from({ length: 1000 }, (_, k) => cell(`t${n}`, [k], 'a', 'x'.repeat(100)))));
  }
  const first = await Session.open(server, { db, site: DEVICE });
  first.send({ type: 'get_snapshot' });
  const header = (await first.next('snapshot_chunk')).chunk;
  const completed = [];
  while (completed.length < 3) {
    const { chunk } = await first.next('snapshot_chunk');
    if (chunk.type === 'table-end') completed.push(chunk.table);
  }
  await first.terminate();
  const second = await Session.open(server, { db, site: DEVICE });
  const chunks = await resume(second, checkpointOf(header, completed.map((table) => `main.${table}`)));
  assertWellFramed(chunks);
  assert.deepEqual([...completed, ...tablesOf(chunks)].sort(), ['t0', 't1', 't2', 't3', 't4', 't5']);
  await second.close();
});
