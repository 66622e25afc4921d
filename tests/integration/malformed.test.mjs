// Facts that no replica could read are refused on arrival (protocol section 1): the whole batch, over HTTP and
// WebSocket, with a message that names the place, and nothing of the batch stored.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { assertError, assertRefused } from './lib/errors.mjs';
import { cell, migration, remove, transactionAt } from './lib/facts.mjs';
import { HttpClient } from './lib/http.mjs';
import { hlc, site } from './lib/ids.mjs';
import { freshDatabase } from './lib/names.mjs';
import { startServer } from './lib/server.mjs';
import { Session } from './lib/session.mjs';

const server = await startServer({ after });
const A = site(1);
const WALL = 1_700_000_000_000;

const good = (n) => transactionAt(A, WALL + n, 0, [cell('good', [n], 'a', n)]);

// The fact at changes[1].changes[1] (or schemaMigrations[0]) is changed; what is around it is good.
function batch(draft, change) {
  const set = transactionAt(A, WALL + 1, 0, draft.ddl ? [draft] : [cell('good', [1], 'a', 0), draft]);
  const fact = draft.ddl ? set.schemaMigrations[0] : set.changes[1];
  change(fact, set);
  return [good(0), set, good(2)];
}

const drop = (key) => (fact) => delete fact[key];
const put = (key, value) => (fact) => (fact[key] = value);
const aCell = cell('t', [1], 'a', 1);
const aDelete = remove('t', [1]);
const aMigration = migration('create_table', 't');
const LONE = '\ud800';

// [what is wrong, the draft, the change, words that the message must have]
const CASES = [
  ...['type', 'schema', 'table', 'pk', 'column', 'value', 'hlc'].map((key) => [`a cell without ${key}`, aCell, drop(key), key]),
  ...['type', 'schema', 'table', 'pk', 'hlc'].map((key) => [`a delete without ${key}`, aDelete, drop(key), key]),
  ...['type', 'schema', 'table', 'ddl', 'hlc', 'schemaVersion'].map((key) => [`a migration without ${key}`, aMigration,
    drop(key), key]),
  ['an unknown type of change', aCell, put('type', 'upsert'), 'type'],
  ['a type that is not text', aCell, put('type', 1), 'type'],
  ['an unknown type of migration', aMigration, put('type', 'truncate_table'), 'type'],
  ['a migration type among the changes', aCell, put('type', 'create_table'), 'type'],
  ['a table that is not text', aCell, put('table', 5), 'table'],
  ['a table that is null', aDelete, put('table', null), 'table'],
  ['a schema that is not text', aCell, put('schema', ['main']), 'schema'],
  ['a column that is not text', aCell, put('column', 5), 'column'],
  ['a pk that is not an array', aCell, put('pk', 'x'), 'pk'],
  ['a pk that is an object', aDelete, put('pk', { 0: 1 }), 'pk'],
  ['a ddl that is not text', aMigration, put('ddl', null), 'ddl'],
  ['a schemaVersion that is not a number', aMigration, put('schemaVersion', '1'), 'schemaVersion'],
  ['a fromTable that is null', migration('rename_table', 't', 1, { fromTable: 'u' }), put('fromTable', null), 'fromTable'],
  ['an HLC that is too short', aCell, put('hlc', hlc(WALL, 0, A).slice(0, 39)), 'hlc'],
  ['an HLC that is too long', aCell, put('hlc', `${hlc(WALL, 0, A)}A`), 'hlc'],
  ['an HLC in base64url', aCell, put('hlc', `${hlc(WALL, 0, A).slice(0, 39)}_`), 'hlc'],
  ['an HLC that is a number', aDelete, put('hlc', 5), 'hlc'],
  ['an HLC that is null', aMigration, put('hlc', null), 'hlc'],
  ['an HLC with a character that is no base64', aCell, put('hlc', `*${hlc(WALL, 0, A).slice(1)}`), 'hlc'],
  ['a priorHlc that is null', aCell, (fact) => Object.assign(fact, { priorHlc: null, priorValue: 1 }), 'priorHlc'],
  ['a priorHlc that is no HLC', aCell, (fact) => Object.assign(fact, { priorHlc: 'x', priorValue: 1 }), 'priorHlc'],
  ['a priorRow that is null', aDelete, put('priorRow', null), 'priorRow'],
  ['a priorRow that is not an array', aDelete, put('priorRow', { a: 1 }), 'priorRow'],
  ['a value with a blob that is not text', aCell, put('value', { __bin: 5 }), 'value'],
  ['a value with a blob that is null', aCell, put('value', { __bin: null }), 'value'],
  ['a value with a blob in base64url', aCell, put('value', { __bin: '_-_-' }), 'value'],
  ['a value with a blob of impossible length', aCell, put('value', { __bin: 'A' }), 'value'],
  ['a value with a blob with white space', aCell, put('value', { __bin: 'AQ ==' }), 'value'],
  ['a value with a big integer that is a number', aCell, put('value', { __bigint: 5 }), 'value'],
  ['a value with an empty big integer', aCell, put('value', { __bigint: '' }), 'value'],
  ['a value with a big integer with a sign', aCell, put('value', { __bigint: '+5' }), 'value'],
  ['a value with a big integer with a point', aCell, put('value', { __bigint: '5.0' }), 'value'],
  ['a value with a big integer in hex', aCell, put('value', { __bigint: '0x10' }), 'value'],
  ['a value with a lonely minus', aCell, put('value', { __bigint: '-' }), 'value'],
  ['a pk with a bad blob', aCell, put('pk', [1, { __bin: '!' }]), 'pk'],
  ['a pk with a bad big integer', aDelete, put('pk', [{ __bigint: 'one' }]), 'pk'],
  ['a priorValue with a bad big integer', aCell,
    (fact) => Object.assign(fact, { priorHlc: hlc(1, 0, A), priorValue: { __bigint: '' } }), 'priorValue'],
  ['a priorRow with a bad blob', aDelete, put('priorRow', [1, { __bin: 7 }]), 'priorRow'],
  ['a lone surrogate in a table', aCell, put('table', `t${LONE}`), 'table'],
  ['a lone surrogate in a schema', aDelete, put('schema', LONE), 'schema'],
  ['a lone surrogate in a column', aCell, put('column', `${LONE}a`), 'column'],
  ['a lone surrogate in a migrated table', aMigration, put('table', LONE), 'table'],
  ['a ChangeSet whose HLC is none', aCell, (fact, set) => (set.hlc = 'x'), 'hlc'],
  ['a ChangeSet without HLC', aCell, (fact, set) => delete set.hlc, 'hlc'],
  ['a ChangeSet without siteId', aCell, (fact, set) => delete set.siteId, 'siteId'],
  ['a ChangeSet whose siteId is none', aCell, (fact, set) => (set.siteId = 'short'), 'siteId'],
  ['a ChangeSet without transactionId', aCell, (fact, set) => delete set.transactionId, 'transactionId'],
  ['a ChangeSet without changes', aCell, (fact, set) => delete set.changes, 'changes'],
  ['changes that are not an array', aCell, (fact, set) => (set.changes = {}), 'changes'],
  ['schemaMigrations that are null', aCell, (fact, set) => (set.schemaMigrations = null), 'schemaMigrations'],
  ['a change that is not an object', aCell, (fact, set) => (set.changes[1] = 5), 'changes'],
  ['a change that is null', aCell, (fact, set) => (set.changes[1] = null), 'changes'],
];

// JSON.stringify() writes a lone surrogate as an escape, which is how it reaches a server.
for (const [what, draft, change, word] of CASES) {
  test(`refused whole: ${what}`, async () => {
    const db = freshDatabase('malformed');
    const changes = batch(draft, change);
    const error = assertRefused(await new HttpClient(server, A).post(db, changes), 400, 'INVALID_BODY');
    assertNames(error.message, word);
    const session = await Session.open(server, { db, site: A });
    const text = assertError(await session.request({ type: 'apply_changes', changes, requestId: 'r' }, () => true),
      'APPLY_CHANGES_ERROR');
    assertNames(text, word);
    await session.close();
    const { sets } = await new HttpClient(server, site(9)).readAll(db);
    assert.deepEqual(sets, [], 'nothing of the batch is stored');
  });
}

// The place: which ChangeSet (the second) and which key.
function assertNames(message, word) {
  assert.ok(message.includes(word), `${JSON.stringify(message)} names ${word}`);
  assert.match(message, /\b1\b/, `${JSON.stringify(message)} says in which ChangeSet`);
}

test('the message says which fact of which ChangeSet it is', async () => {
  const db = freshDatabase('place');
  const many = Array.from({ length: 40 }, (_, n) => cell('t', [n], 'a', n));
  const set = transactionAt(A, WALL, 0, many);
  delete set.changes[37].column;
  const error = assertRefused(await new HttpClient(server, A).post(db, [good(0), good(1), good(2), set]), 400);
  assert.match(error.message, /\b3\b.*\b37\b.*column/);
});

test('bodies that hold no batch are refused', async () => {
  const db = freshDatabase('bodies');
  const client = new HttpClient(server, A);
  for (const body of ['', ' ', '{', '[]', '5', 'null', '"x"', '{}', '{"changes":null}', '{"changes":{}}', '{"changes":"x"}',
    '{"changes":[5]}', '{"changes":[null]}', '{"changes":[[]]}', '{"changes":[{}]}', '{"changes":[]}x', '{"changes":[],}',
    '{"changes":[}', '{"changes":[]', '\u0000', '{"changes":["\u0001"]}']) {
    assertRefused(await client.post(db, undefined, { body }), 400, 'INVALID_BODY');
  }
  assert.deepEqual((await new HttpClient(server, site(9)).readAll(db)).sets, []);
});

test('bytes that are no UTF-8 are refused', async () => {
  const db = freshDatabase('utf8');
  const text = JSON.stringify({ changes: [transactionAt(A, WALL, 0, [cell('t', [1], 'a', 'MARK')])] });
  const [before, behind] = text.split('MARK').map((part) => Buffer.from(part));
  for (const bytes of [[0xff], [0xc3], [0xed, 0xa0, 0x80], [0xc0, 0x80], [0xf5, 0x80, 0x80, 0x80]]) {
    const body = Buffer.concat([before, Buffer.from(bytes), behind]);
    assertRefused(await new HttpClient(server, A).post(db, undefined, { body }), 400, 'INVALID_BODY');
  }
});

// What looks odd and is legal.
const LEGAL = [
  ['deeper blobs and big integers are plain JSON', put('value', { a: { __bin: 5 }, b: [{ __bigint: 'x' }] })],
  ['a blob without padding', put('value', { __bin: 'AQI' })],
  ['an empty blob', put('value', { __bin: '' })],
  ['a long big integer', put('value', { __bigint: '-9'.padEnd(400, '1') })],
  ['unknown keys of a fact', (fact) => Object.assign(fact, { origin: 'import', extra: { a: 1 } })],
  ['an empty pk', put('pk', [])],
  ['a lone surrogate in a pk', put('pk', [LONE])],
  ['a lone surrogate in a value', put('value', `x${LONE}`)],
  ['an empty table name', put('table', '')],
  ['a value of null', put('value', null)],
];
for (const [what, change] of LEGAL) {
  test(`accepted: ${what}`, async () => {
    const db = freshDatabase('legal');
    const result = await new HttpClient(server, A).apply(db, batch(aCell, change));
    assert.equal(result.applied, 4);
    const { sets } = await new HttpClient(server, site(9)).readAll(db);
    assert.equal(sets.flatMap(({ changes }) => changes).length, 4);
  });
}
