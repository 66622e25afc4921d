// Row identity of primary keys (protocol sections 1 and 3), seen through conflicts: a second write of the same
// cell with the same HLC is a conflict where the keys are one row, and applied where they are two.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { HttpClient } from './lib/http.mjs';
import { hlc, site } from './lib/ids.mjs';
import { freshDatabase } from './lib/names.mjs';
import { startServer } from './lib/server.mjs';

const server = await startServer({ after });
const A = site(1);
const WALL = 1_700_000_000_000;
const client = new HttpClient(server, A);

// Keys are given as JSON text: JSON.stringify() could not write most of them.
async function write(db, pk, wall = WALL) {
  const stamp = hlc(wall, 0, A);
  const body = `{"changes":[{"siteId":"${A}","transactionId":"${wall}:0:${A}","hlc":"${stamp}","changes":[` +
    `{"type":"column","schema":"main","table":"t","pk":${pk},"column":"a","value":1,"hlc":"${stamp}"}],` +
    '"schemaMigrations":[]}]}';
  const answer = await client.post(db, undefined, { body });
  assert.equal(answer.status, 200, `${pk}: ${answer.text}`);
  return answer.json.data;
}

async function isOneRow(first, second) {
  const db = freshDatabase('identity');
  assert.equal((await write(db, first)).applied, 1, first);
  const { applied, conflicts } = await write(db, second);
  assert.equal(applied + conflicts, 1);
  return conflicts === 1;
}

const SAME = [
  ['numbers with and without a point', '[5]', '[5.0]'],
  ['numbers with and without an exponent', '[500]', '[5e2]'],
  ['a number and a big integer', '[5]', '[{"__bigint":"5"}]'],
  ['a big integer with leading zeros', '[5]', '[{"__bigint":"005"}]'],
  ['a negative number and a big integer', '[-5]', '[{"__bigint":"-5"}]'],
  ['zero and minus zero', '[0]', '[-0.0]'],
  ['zero and the big integer minus zero', '[0]', '[{"__bigint":"-0"}]'],
  ['true and 1', '[true]', '[1]'],
  ['false and 0', '[false]', '[0.0]'],
  ['true and the big integer 1', '[true]', '[{"__bigint":"1"}]'],
  ['whole numbers beyond 2^53, which are read as doubles', '[9007199254740992]', '[9007199254740993]'],
  ['a double and the big integer of its value', '[9007199254740993]', '[{"__bigint":"9007199254740992"}]'],
  ['a large double and the big integer of its value', '[1e21]', '[{"__bigint":"1000000000000000000000"}]'],
  ['a very large double and the big integer of its exact value', '[1e23]', '[{"__bigint":"99999999999999991611392"}]'],
  ['two spellings of one double', '[0.1]', '[0.1000000000000000055]'],
  ['two spellings of one text', '["A/b"]', '["\\u0041\\/b"]'],
  ['a pair of escapes and the character', '["\\ud83d\\ude42"]', '["🙂"]'],
  ['a lone surrogate and U+FFFD', '["\\ud800"]', '["\\ufffd"]'],
  ['two different lone surrogates', '["\\udfff"]', '["\\ud800"]'],
  ['a blob with and without padding', '[{"__bin":"AQI="}]', '[{"__bin":"AQI"}]'],
  ['a blob and its old spelling', '[{"__bin":"AQI="}]', '[{"0":1,"1":2}]'],
  ['objects with their keys in another order', '[{"a":1,"b":[2]}]', '[{ "b" : [2], "a" : 1 }]'],
  ['objects within objects with their keys in another order', '[{"x":{"a":1,"b":2}}]', '[{"x":{"b":2,"a":1}}]'],
  ['an object key given twice, of which the last counts', '[{"a":1,"a":2}]', '[{"a":2}]'],
  ['numbers within an object', '[{"a":1.0}]', '[{"a":1}]'],
  ['arrays with other white space', '[[1,2]]', '[[ 1 , 2 ]]'],
  ['keys of several values', '[1,"x",null]', '[ 1.0, "\\u0078", null ]'],
];
for (const [what, first, second] of SAME) {
  test(`one row: ${what}`, async () => {
    assert.equal(await isOneRow(first, second), true, `${first} and ${second}`);
    assert.equal(await isOneRow(second, first), true, `${second} and ${first}`);
  });
}

const DIFFERENT = [
  ['a number and its text', '[1]', '["1"]'],
  ['null and the text null', '[null]', '["null"]'],
  ['null and the empty text', '[null]', '[""]'],
  ['true and the text true', '[true]', '["true"]'],
  ['one value and two', '[1]', '[1,null]'],
  ['no value and null', '[]', '[null]'],
  ['values that join to one text', '["a","b"]', '["ab",""]'],
  ['values that join with a separator', '["a","b"]', '["a\\u0000b"]'],
  ['values that look like a joined key', '["a,b"]', '["a","b"]'],
  ['the order of values', '[1,2]', '[2,1]'],
  ['big integers beyond doubles', '[{"__bigint":"9007199254740992"}]', '[{"__bigint":"9007199254740993"}]'],
  ['a double and a big integer that rounds to it', '[9007199254740992]', '[{"__bigint":"9007199254740993"}]'],
  ['neighbouring doubles', '[0.1]', '[0.10000000000000002]'],
  ['a number and its negative', '[1]', '[-1]'],
  ['a blob and its text', '[{"__bin":"QQ=="}]', '["A"]'],
  ['two blobs', '[{"__bin":"AQ=="}]', '[{"__bin":"AQE="}]'],
  ['an empty blob and the empty text', '[{"__bin":""}]', '[""]'],
  ['objects', '[{"a":1}]', '[{"a":2}]'],
  ['an object and its text', '[{"a":1}]', '["{\\"a\\":1}"]'],
  ['an array and its text', '[[1]]', '["[1]"]'],
  ['the order of an array', '[[1,2]]', '[[2,1]]'],
  ['capital and small letters', '["a"]', '["A"]'],
  ['composed and decomposed letters', '["é"]', '["e\\u0301"]'],
  ['a text and the same with a trailing zero', '["a"]', '["a\\u0000"]'],
];
for (const [what, first, second] of DIFFERENT) {
  test(`two rows: ${what}`, async () => {
    assert.equal(await isOneRow(first, second), false, `${first} and ${second}`);
  });
}

test('the spelling that travels onward is the one of the winning fact', async () => {
  const db = freshDatabase('spelling');
  const reader = new HttpClient(server, site(9));
  await write(db, '[5.0,"\\u0041"]', WALL);
  assert.match((await reader.get(`/${db}/changes`)).text, /"pk":\[5\.0,"\\u0041"\]/);
  await write(db, '[{"__bigint":"5"},"A"]', WALL + 1);
  const { text } = await reader.get(`/${db}/changes`);
  assert.match(text, /"pk":\[\{"__bigint":"5"\},"A"\]/);
  assert.doesNotMatch(text, /5\.0/);
});

test('a lone surrogate in a key travels as it came', async () => {
  const db = freshDatabase('surrogate');
  await write(db, '["x\\ud800y"]');
  const { text } = await new HttpClient(server, site(9)).get(`/${db}/changes`);
  assert.ok(text.includes('["x\\ud800y"]'), text);
});

test('a delete finds its row under another spelling', async () => {
  const db = freshDatabase('delete');
  await write(db, '[1]');
  const stamp = hlc(WALL + 1, 0, A);
  const body = `{"changes":[{"siteId":"${A}","transactionId":"${WALL + 1}:0:${A}","hlc":"${stamp}","changes":[` +
    `{"type":"delete","schema":"main","table":"t","pk":[true],"hlc":"${stamp}"}]}]}`;
  assert.equal((await client.post(db, undefined, { body })).status, 200);
  const { sets } = await new HttpClient(server, site(9)).readAll(db);
  assert.deepEqual(sets.flatMap(({ changes }) => changes.map(({ type }) => type)), ['delete']);
});
