// Snapshots (protocol section 7) over WebSocket and HTTP: chunks, tables that are gone, one point in time.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { assertError } from './lib/errors.mjs';
import { assertSameSnapshot, assertSameValues, assertWellFramed, modelSnapshot, snapshotContent } from './lib/compare.mjs';
import { cell, factSets, factsOf, migration, remove, transactionAt, watermarkOf } from './lib/facts.mjs';
import { HttpClient } from './lib/http.mjs';
import { compareHlc, site } from './lib/ids.mjs';
import { Model } from './lib/model.mjs';
import { freshDatabase } from './lib/names.mjs';
import { startServer } from './lib/server.mjs';
import { Session } from './lib/session.mjs';
import { StockClient } from './lib/stock-client.mjs';

const server = await startServer({ after });
const paging = await startServer({ after }, { settings: { 'limits.deltaBytes': 4096, 'sync.pageProofTimeoutMs': 300 } });
const A = site(1);
const WALL = 1_700_000_000_000;
const at = (n, ...drafts) => transactionAt(A, WALL + n, 0, drafts);

// A database with these transactions, and a session of another site.
async function filled(sets, on = server) {
  const db = freshDatabase('snapshot');
  if (sets.length > 0) await new HttpClient(on, A).apply(db, sets);
  return { db, session: await Session.open(on, { db, site: site(2) }) };
}
const tablesOf = (chunks) => chunks.filter(({ type }) => type === 'table-start').map(({ table }) => table).sort();
const tombstonesOf = (chunks) => chunks.filter(({ type }) => type === 'tombstone')
  .flatMap(({ table, entries }) => entries.map(({ pk }) => `${table}${JSON.stringify(pk)}`)).sort();

test('an empty database has an empty snapshot', async () => {
  const { session } = await filled([]);
  const chunks = await session.chunks();
  assert.deepEqual(chunks.map(({ type }) => type), ['header', 'footer']);
  assertWellFramed(chunks);
  await session.close();
});

test('a snapshot holds what a model of the same history holds', async () => {
  const sets = [
    at(1, migration('create_table', 't'), cell('t', [1], 'a', { x: [1, null] }), cell('t', [1], 'b', 'naïve 🙂')),
    at(2, cell('t', [1], 'a', 2), cell('u', ['k', 2.5], 'c', { __bin: 'AQI=' })),
    at(3, remove('t', [2], { priorRow: [1, 'x'] }), remove('only deleted', [1]), cell('t', [3], 'a', 3)),
    at(4, migration('add_column', 't', 2), remove('u', ['z'], { priorRow: [] })),
  ];
  const model = new Model();
  sets.forEach((set) => model.apply([set]));
  const { session, db } = await filled([]);
  for (const set of sets) await new HttpClient(server, A).apply(db, set);
  const chunks = await session.chunks();
  assertWellFramed(chunks);
  assertSameSnapshot(snapshotContent(chunks), modelSnapshot(model), 'the snapshot');
  assert.deepEqual(tablesOf(chunks), ['t', 'u'], 'no section for a table without a live row');
  assert.ok(chunks.filter(({ type }) => type === 'tombstone').flatMap(({ entries }) => entries)
    .every(({ createdAt }) => createdAt !== undefined));
  await session.close();
});

test('the header carries the server site and the last stamp, from which a delta has nothing new', async () => {
  const { session, db } = await filled([at(1, cell('t', [1], 'a', 1))]);
  const [header] = await session.chunks();
  assert.deepEqual(Object.keys(header).sort(), ['hlc', 'migrationCount', 'siteId', 'snapshotFormat', 'snapshotId', 'tableCount',
    'type']);
  assert.equal(header.siteId, session.ack.serverSiteId);
  assert.equal(typeof header.snapshotId, 'string');
  assert.deepEqual((await session.changes(header.hlc)).changeSets, []);
  const { changes } = await new HttpClient(server, site(3)).delta(db);
  assert.equal(watermarkOf(changes), header.hlc);
  await session.close();
});

test('every chunk comes in a snapshot_chunk, then snapshot_complete, then a nudge', async () => {
  const { session } = await filled([at(1, cell('t', [1], 'a', 1))]);
  session.send({ type: 'get_snapshot' });
  for (;;) {
    const { type, chunk, ...more } = await session.next();
    assert.deepEqual(more, {});
    if (type === 'snapshot_complete') break;
    assert.equal(type, 'snapshot_chunk');
    assert.equal(typeof chunk.type, 'string');
  }
  assert.deepEqual(await session.next(), session.ack);
  await session.close();
});

test('HTTP and WebSocket give the same snapshot', async () => {
  const { session, db } = await filled([at(1, cell('t', [1], 'a', 1), remove('t', [2]), migration('create_table', 't'))]);
  const bare = (chunks) => chunks.map(({ snapshotId, ...chunk }) => chunk);
  assert.deepEqual(bare(await new HttpClient(server, site(2)).snapshot(db)), bare(await session.chunks()));
  await session.close();
});

test('two snapshots have two ids', async () => {
  const { session, db } = await filled([]);
  const names = [(await session.chunks())[0].snapshotId, (await session.chunks())[0].snapshotId,
    (await new HttpClient(server, site(2)).snapshot(db))[0].snapshotId];
  assert.equal(new Set(names).size, 3);
  await session.close();
});

test('entries come in chunks of at most a thousand, each table in one piece', async () => {
  const drafts = Array.from({ length: 2500 }, (_, n) => cell('many', [n], 'a', n));
  const { session } = await filled([at(1, drafts), at(2, cell('few', [1], 'a', 1)), at(3, cell('zero', [1], 'a', 1))]);
  const chunks = await session.chunks();
  assertWellFramed(chunks);
  const sizes = chunks.filter(({ type, table }) => type === 'column-versions' && table === 'many').map(({ entries }) => entries.length);
  assert.deepEqual(sizes, [1000, 1000, 500]);
  assert.equal(new Set(tablesOf(chunks)).size, 3);
  const { tables } = snapshotContent(chunks);
  assertSameValues(tables['["main","many"]'].map(({ pk }) => pk[0]), Array.from({ length: 2500 }, (_, n) => n));
  await session.close();
});

test('many tombstones all come', async () => {
  const { session } = await filled([at(1, Array.from({ length: 2500 }, (_, n) => remove('t', [n])))]);
  const chunks = await session.chunks();
  assertWellFramed(chunks);
  assert.equal(new Set(tombstonesOf(chunks)).size, 2500);
  await session.close();
});

test('migrations come in HLC order, whatever the order of their arrival', async () => {
  const sets = [5, 1, 4, 2, 3].map((n) => at(n, migration('create_table', `t${n}`, n)));
  const { session, db } = await filled([]);
  for (const set of sets) await new HttpClient(server, A).apply(db, set);
  const chunks = await session.chunks();
  const stamps = chunks.filter(({ type }) => type === 'schema-migration').map(({ migration: { hlc } }) => hlc);
  assert.equal(stamps.length, 5);
  assert.deepEqual(stamps, [...stamps].sort(compareHlc));
  await session.close();
});

// [what happens, the transactions, the tables that are there, the tombstones that are there]
const rows = (table) => [cell(table, [1], 'a', 1), remove(table, [2])];
const GONE = [
  ['a table that was dropped', [at(1, rows('t'), rows('kept')), at(2, migration('drop_table', 't', 2))], ['kept'], ['kept[2]']],
  ['a table dropped and made again', [at(1, rows('t')), at(2, migration('drop_table', 't', 2)),
    at(3, migration('create_table', 't', 3))], ['t'], ['t[2]']],
  ['a table made again and dropped again', [at(1, rows('t')), at(2, migration('drop_table', 't', 2)),
    at(3, migration('create_table', 't', 3)), at(4, migration('drop_table', 't', 4))], [], []],
  ['migrations that arrive in another order than that of their HLCs', [at(3, migration('create_table', 't', 3)),
    at(1, rows('t')), at(2, migration('drop_table', 't', 2))], ['t'], ['t[2]']],
  ['the old name of a renamed table', [at(1, rows('old'), rows('new')),
    at(2, migration('rename_table', 'new', 2, { fromTable: 'old' }))], ['new'], ['new[2]']],
  ['a table renamed away and back', [at(1, rows('x'), rows('y')), at(2, migration('rename_table', 'y', 2, { fromTable: 'x' })),
    at(3, migration('rename_table', 'x', 3, { fromTable: 'y' }))], ['x'], ['x[2]']],
  ['a table renamed onto a dropped name', [at(1, rows('x'), rows('y')), at(2, migration('drop_table', 'y', 2)),
    at(3, migration('rename_table', 'y', 3, { fromTable: 'x' }))], ['y'], ['y[2]']],
  ['other migrations of a dropped table', [at(1, rows('t')), at(2, migration('drop_table', 't', 2)),
    at(3, migration('add_column', 't', 3), migration('add_index', 't', 3), migration('alter_column', 't', 4))], [], []],
  ['a table that no migration mentions', [at(1, rows('t')), at(2, migration('drop_table', 'u', 2))], ['t'], ['t[2]']],
  ['a table of the same name in another schema', [at(1, rows('t'), { ...cell('t', [1], 'a', 1), schema: 'other' }),
    at(2, migration('drop_table', 't', 2))], ['t'], []],
];
for (const [what, sets, tables, tombstones] of GONE) {
  test(`gone or there: ${what}`, async () => {
    const { session, db } = await filled([]);
    for (const set of sets) await new HttpClient(server, A).apply(db, set);
    const chunks = await session.chunks();
    assertWellFramed(chunks);
    assert.deepEqual(tablesOf(chunks), tables);
    assert.deepEqual(tombstonesOf(chunks), tombstones);
    assert.equal(chunks[0].migrationCount, sets.flatMap(({ schemaMigrations }) => schemaMigrations).length);
    const delta = factsOf((await session.changes()).changeSets);
    assertSameValues(delta, factsOf(sets), 'the facts stay stored and travel in deltas');
    await session.close();
  });
}

test('a device that is new after tables came and went boots and stays in step', async () => {
  const db = freshDatabase('boot');
  const client = new HttpClient(server, A);
  for (const [, sets] of GONE.slice(0, 4)) for (const set of sets) await client.apply(db, set);
  const device = new StockClient(server, { db, site: site(7) });
  await device.connect();
  await device.bootFromSnapshot();
  const later = at(100, cell('t', ['later'], 'a', 1));
  const arrived = device.until('applied', ({ sets }) => sets.some(({ transactionId }) => transactionId === later.transactionId));
  await client.apply(db, later);
  await arrived;
  assert.deepEqual(device.errors, []);
  await device.disconnect();
});

test('the whole stream is of one point in time, also while it is written', async () => {
  const sets = Array.from({ length: 8 }, (_, n) => at(n, Array.from({ length: 1000 }, (__, k) => cell(`t${n}`, [k], 'a', 0))));
  const { session, db } = await filled(sets);
  session.pause();
  session.send({ type: 'get_snapshot' });
  const client = new HttpClient(server, site(5));
  for (let n = 0; n < 8; n++) {
    await client.apply(db, transactionAt(site(5), WALL + 1000 + n, 0, Array.from({ length: 50 }, (_, k) => cell(`t${n}`, [k], 'a', 1))));
  }
  session.resume();
  const chunks = [];
  for (;;) {
    const message = await session.next(['snapshot_chunk', 'snapshot_complete']);
    if (message.type === 'snapshot_complete') break;
    chunks.push(message.chunk);
  }
  assertWellFramed(chunks);
  const { hlc } = chunks[0];
  const ones = chunks.filter(({ type }) => type === 'column-versions').flatMap(({ entries, table }) =>
    entries.filter(({ value }) => value === 1).map(() => table));
  const missing = factsOf((await session.changes(hlc)).changeSets).filter(({ value }) => value === 1).length;
  assert.equal(ones.length + missing, 400, 'what the snapshot lacks comes by the delta from its hlc');
  assert.equal(ones.length % 50, 0, 'whole batches only');
  await session.close();
});

test('get_snapshot cancels a delta that is under way', async () => {
  const sets = Array.from({ length: 60 }, (_, n) => at(n, cell('t', [n], 'a', 'x'.repeat(250))));
  const { session } = await filled(sets, paging);
  const first = (await session.changes()).changeSets;
  assert.ok(factSets(first).length < sets.length);
  const chunks = await session.chunks();
  assertWellFramed(chunks);
  await session.next(({ type }) => type === 'handshake_ack');
  // The time within which a page goes out without proof passes many times over while these are answered.
  const from = Date.now();
  while (Date.now() - from < 1500) await session.barrier();
  assert.deepEqual(session.inbox.filter(({ type }) => type === 'changes'), []);
  assert.deepEqual((await session.changes(chunks[0].hlc)).changeSets, []);
  await session.close();
});

// The stock client drops pushes while it boots, so they may come or not: the delta after the nudge has to have it.
test('what is written while a snapshot is under way is in it or comes after it', async () => {
  const sets = [at(1, Array.from({ length: 3000 }, (_, n) => cell('t', [n], 'a', 'x'.repeat(100))))];
  const { session, db } = await filled(sets);
  session.send({ type: 'get_snapshot' });
  const meanwhile = transactionAt(site(5), WALL + 5, 0, [cell('t', ['meanwhile'], 'a', 1)]);
  await new HttpClient(server, site(5)).apply(db, meanwhile);
  const chunks = [];
  for (;;) {
    const message = await session.next(['snapshot_chunk', 'snapshot_complete']);
    if (message.type === 'snapshot_complete') break;
    chunks.push(message.chunk);
  }
  await session.next('handshake_ack');
  const inSnapshot = chunks.filter(({ type }) => type === 'column-versions')
    .some(({ entries }) => entries.some(({ pk }) => pk[0] === 'meanwhile'));
  const inDelta = factSets((await session.changes(chunks[0].hlc)).changeSets);
  assert.deepEqual(inDelta, inSnapshot ? [] : [meanwhile]);
  const later = transactionAt(site(5), WALL + 6, 0, [cell('t', ['later'], 'a', 1)]);
  await new HttpClient(server, site(5)).apply(db, later);
  await session.next(({ type, changeSets }) => type === 'push_changes' && changeSets.at(-1).hlc === later.hlc);
  await session.close();
});

test('a session that leaves in the middle of a snapshot leaves the server well', async () => {
  const sets = Array.from({ length: 20 }, (_, n) => at(n, Array.from({ length: 1000 }, (__, k) => cell(`t${n}`, [k], 'a', 'x'.repeat(200)))));
  const db = freshDatabase('leave');
  for (const set of sets) await new HttpClient(server, A).apply(db, set);
  for (let n = 0; n < 5; n++) {
    const session = await Session.open(server, { db, site: site(2) });
    session.send({ type: 'get_snapshot' });
    await session.next('snapshot_chunk');
    await session.terminate();
  }
  const session = await Session.open(server, { db, site: site(2) });
  assertWellFramed(await session.chunks());
  await session.close();
});

test('a second get_snapshot on the way is answered, with one stream or two', async () => {
  const { session } = await filled([at(1, Array.from({ length: 3000 }, (_, n) => cell('t', [n], 'a', n)))]);
  session.send({ type: 'get_snapshot' });
  session.send({ type: 'get_snapshot' });
  await session.next('snapshot_complete');
  await session.barrier();
  for (const message of session.inbox.filter(({ type }) => type === 'error')) assertError(message, 'SNAPSHOT_ERROR');
  await session.close();
});
