// Applying batches (protocol section 3), rule by rule, as seen in results and in what a reader gets.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { assertSameValues } from './lib/compare.mjs';
import { cell, factsOf, migration, remove, transactionAt } from './lib/facts.mjs';
import { HttpClient } from './lib/http.mjs';
import { hlc, readHlc, site } from './lib/ids.mjs';
import { freshDatabase } from './lib/names.mjs';
import { startServer } from './lib/server.mjs';
import { Session } from './lib/session.mjs';

const server = await startServer({ after });
const resurrecting = await startServer({ after }, { settings: { 'sync.allowResurrection': true } });
const A = site(1);
const B = site(2);
const READER = site(99);
const WALL = 1_700_000_000_000;

// A fresh database with what a test does to it. at(n, ...) is A's transaction at the n-th millisecond.
function database(on = server) {
  const db = freshDatabase('merge');
  const writer = new HttpClient(on, A);
  const reader = new HttpClient(on, READER);
  return {
    db,
    apply: (...sets) => writer.apply(db, sets),
    facts: async () => factsOf((await reader.readAll(db)).sets),
  };
}
const at = (n, ...drafts) => transactionAt(A, WALL + n, 0, drafts);
const from = (who, n, ...drafts) => transactionAt(who, WALL + n, 0, drafts);
const counts = (applied, skipped, conflicts, transactions = 1) => ({ applied, skipped, conflicts, transactions });

test('a first write is applied, the same again is a conflict', async () => {
  const { apply, facts } = database();
  const set = at(1, cell('t', [1], 'a', 'x'));
  assert.deepEqual(await apply(set), counts(1, 0, 0));
  assert.deepEqual(await apply(set), counts(0, 0, 1));
  assert.deepEqual(await facts(), set.changes);
});

test('a later write wins and remembers what it replaced here', async () => {
  const { apply, facts } = database();
  const first = at(1, cell('t', [1], 'a', { deep: ['x', null] }));
  const second = from(B, 2, cell('t', [1], 'a', 'y', { priorHlc: hlc(5, 0, B), priorValue: 'what B believed' }));
  await apply(first);
  assert.deepEqual(await apply(second), counts(1, 0, 0));
  assert.deepEqual(await facts(), [{ ...second.changes[0], priorHlc: first.hlc, priorValue: { deep: ['x', null] } }]);
});

test('a first write remembers no prior value, whatever its sender claimed', async () => {
  const { apply, facts } = database();
  const set = at(5, cell('t', [1], 'a', 'x', { priorHlc: hlc(WALL, 0, B), priorValue: 'claimed' }));
  await apply(set);
  const { priorHlc, priorValue, ...stored } = set.changes[0];
  assert.deepEqual(await facts(), [stored]);
});

test('an earlier write is a conflict and changes nothing', async () => {
  const { apply, facts } = database();
  const winner = at(5, cell('t', [1], 'a', 'new'));
  await apply(winner);
  assert.deepEqual(await apply(from(B, 4, cell('t', [1], 'a', 'old'))), counts(0, 0, 1));
  assert.deepEqual(await facts(), winner.changes);
});

test('ties of wall and counter are decided by the site id, then by opSeq', async () => {
  const { apply, facts } = database();
  const low = from(A, 1, cell('t', [1], 'a', 'low'));
  const high = from(B, 1, cell('t', [1], 'a', 'high'));
  assert.deepEqual(await apply(high), counts(1, 0, 0));
  assert.deepEqual(await apply(low), counts(0, 0, 1));
  const twice = from(B, 2, cell('t', [1], 'a', 'first'), cell('t', [1], 'a', 'second'));
  assert.deepEqual(await apply(twice), counts(2, 0, 0));
  assert.deepEqual((await facts()).map(({ value }) => value), ['second']);
});

test('a delete takes the cells of its row, and only those', async () => {
  const { apply, facts } = database();
  const rows = at(1, cell('t', [1], 'a', 1), cell('t', [1], 'b', 2), cell('t', [2], 'a', 3), cell('u', [1], 'a', 4));
  await apply(rows);
  const gone = at(2, remove('t', [1], { priorRow: [1, 2] }));
  assert.deepEqual(await apply(gone), counts(1, 0, 0));
  assertSameValues(await facts(), [...gone.changes, rows.changes[2], rows.changes[3]]);
});

test('priorRow may be empty, which is not the same as absent', async () => {
  const { apply, facts } = database();
  const set = at(1, remove('t', [1], { priorRow: [] }), remove('t', [2]));
  await apply(set);
  assertSameValues(await facts(), set.changes);
});

test('a cell of a deleted row is skipped, also one written later', async () => {
  const { apply, facts } = database();
  const gone = at(5, remove('t', [1]));
  await apply(gone);
  assert.deepEqual(await apply(at(4, cell('t', [1], 'a', 'before'))), counts(0, 1, 0));
  assert.deepEqual(await apply(at(6, cell('t', [1], 'a', 'after'))), counts(0, 1, 0));
  assert.deepEqual(await facts(), gone.changes);
});

test('with resurrection a later cell of a deleted row is applied, an earlier or equal one skipped', async () => {
  const { apply, facts } = database(resurrecting);
  const gone = at(5, remove('t', [1]));
  await apply(gone);
  assert.deepEqual(await apply(at(4, cell('t', [1], 'a', 'before'))), counts(0, 1, 0));
  const later = at(6, cell('t', [1], 'a', 'after'));
  assert.deepEqual(await apply(later), counts(1, 0, 0));
  assertSameValues(await facts(), [...gone.changes, ...later.changes]);
});

test('a delete replaces an older tombstone, an older or equal delete is skipped', async () => {
  const { apply, facts } = database();
  const older = at(1, remove('t', [1], { priorRow: ['old'] }));
  const newer = from(B, 2, remove('t', [1]));
  assert.deepEqual(await apply(older), counts(1, 0, 0));
  assert.deepEqual(await apply(newer), counts(1, 0, 0));
  assert.deepEqual(await apply(newer), counts(0, 1, 0));
  assert.deepEqual(await apply(older), counts(0, 1, 0));
  assert.deepEqual(await facts(), newer.changes);
});

test('a delete is applied even where it is older than a cell of its row', async () => {
  const { apply, facts } = database();
  await apply(at(9, cell('t', [1], 'a', 1)));
  const gone = at(3, remove('t', [1]));
  assert.deepEqual(await apply(gone), counts(1, 0, 0));
  assert.deepEqual(await facts(), gone.changes);
});

test('in one batch a delete turns the applied cells of its row into skipped, in any order', async () => {
  const sets = [at(1, cell('t', [1], 'a', 1)), at(2, remove('t', [1])), at(3, cell('t', [1], 'b', 2), cell('t', [2], 'a', 3))];
  for (const order of [[0, 1, 2], [2, 1, 0], [1, 0, 2], [1, 2, 0]]) {
    const { apply, facts } = database();
    assert.deepEqual(await apply(...order.map((index) => sets[index])), counts(2, 2, 0, 3));
    assertSameValues(await facts(), [sets[1].changes[0], sets[2].changes[1]]);
  }
});

test('with resurrection only the cells up to the delete are skipped within a batch', async () => {
  const { apply, facts } = database(resurrecting);
  const sets = [at(3, cell('t', [1], 'b', 2)), at(2, remove('t', [1])), at(1, cell('t', [1], 'a', 1))];
  assert.deepEqual(await apply(...sets), counts(2, 1, 0, 3));
  assertSameValues(await facts(), [sets[0].changes[0], sets[1].changes[0]]);
});

test('several writes of one cell in one batch all count as applied, and the highest is kept', async () => {
  const sets = [1, 2, 3].map((n) => at(n, cell('t', [1], 'a', n)));
  for (const order of [[0, 1, 2], [2, 1, 0], [1, 2, 0]]) {
    const { apply, facts } = database();
    assert.deepEqual(await apply(...order.map((index) => sets[index])), counts(3, 0, 0, 3));
    assert.deepEqual(await facts(), sets[2].changes);
  }
});

test('facts of a batch are judged against the state before it', async () => {
  const { apply, facts } = database();
  const before = at(2, cell('t', [1], 'a', 'stored'));
  await apply(before);
  const result = await apply(at(3, cell('t', [1], 'a', 'x')), at(1, cell('t', [1], 'a', 'y')), at(4, cell('t', [1], 'a', 'z')));
  assert.deepEqual(result, counts(2, 0, 1, 3));
  const [stored] = await facts();
  assert.deepEqual([stored.value, stored.priorValue, stored.priorHlc], ['z', 'stored', before.hlc]);
});

test('several deletes of one row in one batch all count, and the highest is kept', async () => {
  const { apply, facts } = database();
  const sets = [at(3, remove('t', [1], { priorRow: [3] })), at(1, remove('t', [1])), at(2, remove('t', [1]))];
  assert.deepEqual(await apply(...sets), counts(3, 0, 0, 3));
  assert.deepEqual(await facts(), sets[0].changes);
});

test('migrations are identified by schema, kind, object and version', async () => {
  const { apply, facts } = database();
  const first = at(1, migration('create_table', 't', 1), migration('add_index', 't', 1), migration('add_column', 't', 2),
    migration('create_table', 'u', 1), migration('create_table', 't', 1, { schema: 'other' }));
  assert.deepEqual(await apply(first), counts(5, 0, 0));
  const newer = at(2, migration('alter_column', 't', 1));
  assert.deepEqual(await apply(newer), counts(1, 0, 0));
  assert.deepEqual(await apply(at(0, migration('drop_index', 't', 1))), counts(0, 1, 0));
  assert.deepEqual(await apply(newer), counts(0, 1, 0));
  assertSameValues(await facts(), [...first.schemaMigrations.slice(1), ...newer.schemaMigrations]);
});

test('every type of migration travels as it came', async () => {
  const { apply, facts } = database();
  const types = ['create_table', 'drop_table', 'add_column', 'drop_column', 'alter_column', 'add_index', 'drop_index'];
  const set = at(1, types.map((type, index) => migration(type, `t${index}`, index)),
    migration('rename_table', 'new name', 9, { fromTable: 'old name', ddl: 'ALTER TABLE "old name" RENAME …\n\t"x"' }));
  set.schemaMigrations.forEach((m, index) => assert.equal(readHlc(m.hlc).op, index));
  assert.deepEqual(await apply(set), counts(8, 0, 0));
  assertSameValues(await facts(), set.schemaMigrations);
});

test('migrations of one identity in one batch: the highest is kept, each counts', async () => {
  const { apply, facts } = database();
  const sets = [at(2, migration('add_column', 't', 1)), at(1, migration('create_table', 't', 1))];
  assert.deepEqual(await apply(...sets), counts(2, 0, 0, 2));
  assert.deepEqual(await facts(), sets[0].schemaMigrations);
});

test('data of a table that the same batch drops or renames is judged and stored like any other', async () => {
  const { apply, facts } = database();
  const set = at(1, cell('t', [1], 'a', 1), migration('drop_table', 't', 2), cell('u', [1], 'a', 1),
    migration('rename_table', 'v', 3, { fromTable: 'u' }));
  assert.deepEqual(await apply(set), counts(4, 0, 0));
  assert.deepEqual(await apply(set), counts(0, 2, 2));
  assertSameValues(await facts(), factsOf([set]));
});

test('names that share their letters are different tables, columns and schemas', async () => {
  const { apply, facts } = database();
  const names = ['a', 'a:b', 'a.b', 'a/b', 'a\u0000b', 'b', '', ' ', 'A', 'é', 'e\u0301', '🙂', 'x'.repeat(300)];
  const drafts = names.flatMap((name) => [cell(name, [1], 'c', name), cell('t', [1], name, name),
    cell('t', [name], 'c', name), cell('s', [1], 'c', name, { schema: name })]);
  const set = at(1, drafts);
  assert.deepEqual(await apply(set), counts(drafts.length, 0, 0));
  assertSameValues(await facts(), set.changes);
});

test('schemaMigrations may be missing', async () => {
  const { apply, facts } = database();
  const { schemaMigrations, ...set } = at(1, cell('t', [1], 'a', 1));
  assert.deepEqual(await apply(set), counts(1, 0, 0));
  assert.deepEqual(await facts(), set.changes);
});

test('a ChangeSet without facts is counted and leaves nothing', async () => {
  const { apply, facts } = database();
  assert.deepEqual(await apply(at(1), at(2)), counts(0, 0, 0, 2));
  assert.deepEqual(await facts(), []);
});

test('facts that carry the server\'s own site id are skipped', async () => {
  const { db, apply, facts } = database();
  const session = await Session.open(server, { db, site: READER });
  const own = from(session.ack.serverSiteId, 1, cell('t', [1], 'a', 1), remove('t', [2]), migration('create_table', 't'));
  assert.deepEqual(await apply(own), counts(0, 3, 0));
  assert.deepEqual(await facts(), []);
  await session.close();
});

test('a batch of many sites is stored under each fact\'s own transaction', async () => {
  const { db, apply } = database();
  const sets = [from(A, 1, cell('t', [1], 'a', 1), cell('t', [1], 'b', 2)), from(B, 1, cell('t', [2], 'a', 1)),
    from(site(3), 1, cell('t', [3], 'a', 1))];
  assert.deepEqual(await apply(...sets), counts(4, 0, 0, 3));
  const read = (await new HttpClient(server, READER).readAll(db)).sets;
  assertSameValues(read, sets);
});

test('values travel as the text that they came in', async () => {
  const { db } = database();
  const values = ['1.50', '-0', '1e2', '1E+2', '12345678901234567890', '0.1000000000000000055511151231257827',
    '"\\u0041\\/\\ud83d\\ude42"', '[1.0, 2]', '{"b":1,"a":2.0}', '{"__bigint":"0012"}', '{"__bin":"AQI"}', 'true', 'null'];
  const facts = values.map((value, op) =>
    `{"type":"column","schema":"main","table":"t","pk":[${op}.0],"column":"a","value":${value},"hlc":"${hlc(WALL, 0, A, op)}"}`);
  const body = `{"changes":[{"siteId":"${A}","transactionId":"${WALL}:0:${A}","hlc":"${hlc(WALL, 0, A, 20)}",` +
    `"changes":[${facts.join(',')}],"schemaMigrations":[]}]}`;
  const answer = await new HttpClient(server, A).post(db, undefined, { body });
  assert.equal(answer.status, 200, answer.text);
  const { text } = await new HttpClient(server, READER).get(`/${db}/changes`);
  for (const [op, value] of values.entries()) {
    assert.ok(text.includes(`"value":${value}`), `${value} in ${text}`);
    assert.ok(text.includes(`"pk":[${op}.0]`), `pk ${op}.0`);
  }
});

test('a batch in one message or in many leaves the same state', async () => {
  const one = database();
  const many = database();
  const sets = [at(1, cell('t', [1], 'a', 1), cell('t', [2], 'a', 2)), at(2, remove('t', [1])), at(3, cell('t', [2], 'a', 3)),
    at(4, cell('t', [3], 'a', 4), migration('create_table', 't'))];
  await one.apply(...sets);
  for (const set of sets) await many.apply(set);
  const bare = async ({ facts }) => (await facts()).map(({ priorHlc, priorValue, ...fact }) => fact);
  assertSameValues(await bare(one), await bare(many));
});
