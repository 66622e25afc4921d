// The messages that carry no data: errors that leave the connection, ping, frames (protocol section 5).
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { assertError } from './lib/errors.mjs';
import { cell, Writer } from './lib/facts.mjs';
import { site } from './lib/ids.mjs';
import { freshDatabase } from './lib/names.mjs';
import { startServer } from './lib/server.mjs';
import { Session } from './lib/session.mjs';

const MESSAGE_BYTES_MAX = 256 * 1024;
const server = await startServer({ after }, { settings: { 'limits.messageBytes': MESSAGE_BYTES_MAX } });
const connect = (hint, number = 1) => Session.open(server, { db: freshDatabase(hint), site: site(number) });

test('everything but handshake and ping is refused before a handshake, without an end', async () => {
  const session = await Session.open(server);
  const early = [{ type: 'get_changes' }, { type: 'apply_changes', changes: [], requestId: 'x' }, { type: 'get_snapshot' },
    { type: 'resume_snapshot', checkpoint: {} }];
  for (const message of early) {
    assertError(await session.request(message, () => true), 'NOT_AUTHENTICATED');
  }
  assert.deepEqual(await session.request({ type: 'ping' }, () => true), { type: 'pong' });
  await session.handshake({ db: freshDatabase('late'), site: site(1) });
  await session.close();
});

test('an unknown type is refused, and the connection stays', async () => {
  const session = await connect('unknown');
  for (const type of ['push_changes', 'handshake_ack', 'PING', '', 'get_changes ']) {
    assertError(await session.request({ type }, () => true), 'UNKNOWN_MESSAGE');
  }
  assert.deepEqual((await session.changes()).changeSets, []);
  await session.close();
});

test('a message without a usable type is refused, and the connection stays', async () => {
  const session = await connect('untyped');
  for (const text of ['{}', '{"type":5}', '{"type":null}', '[]', '5', '"ping"', 'null']) {
    assertError(await session.request(text, () => true), ['UNKNOWN_MESSAGE', 'MESSAGE_ERROR']);
  }
  await session.barrier();
  await session.close();
});

test('broken JSON is refused before and after the handshake, and the connection stays', async () => {
  const broken = ['', '{', '{"type":"ping"', '{"type":"ping"} x', 'ping', '{"type":"ping",}', '{\'type\':\'ping\'}',
    '{"type":"get_changes","sinceHLC":"\u0001"}', '{"type":"ping","x":01}', '\ufeff'];
  const session = await Session.open(server);
  for (const text of broken) {
    assertError(await session.request(text, () => true), 'MESSAGE_ERROR');
  }
  await session.handshake({ db: freshDatabase('broken'), site: site(1) });
  for (const text of broken) {
    assertError(await session.request(text, () => true), 'MESSAGE_ERROR');
  }
  assert.deepEqual((await session.changes()).changeSets, []);
  await session.close();
});

test('a message nested without end is refused, and the connection stays', async () => {
  const session = await connect('deep');
  const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`;
  assertError(await session.request(`{"type":"ping","x":${deep}}`, () => true), ['MESSAGE_ERROR']);
  await session.barrier();
  await session.close();
});

test('pings are answered one for one', async () => {
  const session = await connect('ping');
  for (let i = 0; i < 50; i++) session.send({ type: 'ping' });
  for (let i = 0; i < 50; i++) assert.deepEqual(await session.next(), { type: 'pong' });
  await session.barrier();
  assert.deepEqual(session.inbox, []);
  await session.close();
});

test('WebSocket pings are answered', async () => {
  const session = await connect('wsping');
  const pong = new Promise((resolve) => session.socket.once('pong', (data) => resolve(data.toString())));
  session.socket.ping('are you there');
  assert.equal(await pong, 'are you there');
  await session.close();
});

test('requestId comes back exactly as sent, or not at all', async () => {
  const session = await connect('request-id');
  const writer = new Writer(site(1));
  for (const requestId of ['r-1', '', 'ümläut "quoted" \\ 🙂 \u0000', 7, -0.5, true, { a: [1, 'x'] }, 'x'.repeat(2000)]) {
    const answer = await session.apply([writer.transaction(cell('t', [1], 'a', 1))], requestId);
    assert.deepEqual(answer, { type: 'apply_result', requestId, applied: 1, skipped: 0, conflicts: 0, transactions: 1 });
  }
  session.send({ type: 'apply_changes', changes: [writer.transaction(cell('t', [1], 'a', 1))] });
  const answer = await session.next();
  assert.deepEqual(answer, { type: 'apply_result', applied: 1, skipped: 0, conflicts: 0, transactions: 1 });
  await session.close();
});

test('a number as requestId keeps the digits that it was sent with', async () => {
  const session = await connect('request-digits');
  const raw = new Promise((resolve) => session.socket.on('message', (data) => resolve(data.toString())));
  session.send('{"type":"apply_changes","changes":[],"requestId":12345678901234567890.50}');
  assert.match(await raw, /"requestId":\s*12345678901234567890\.50[,}]/);
  await session.close();
});

test('a failed request is an error of its kind, not fatal', async () => {
  const session = await connect('failed');
  for (const changes of [undefined, null, {}, 'x', [5], [{}]]) {
    assertError(await session.request({ type: 'apply_changes', changes, requestId: 'r' }, () => true),
      'APPLY_CHANGES_ERROR');
  }
  for (const sinceHLC of ['short', 5, {}, '!'.repeat(40), 'A'.repeat(39), 'A'.repeat(41)]) {
    assertError(await session.request({ type: 'get_changes', sinceHLC }, () => true), 'GET_CHANGES_ERROR');
  }
  for (const checkpoint of [undefined, null, 5, 'x', [], {}]) {
    assertError(await session.request({ type: 'resume_snapshot', checkpoint }, () => true), 'SNAPSHOT_ERROR');
  }
  assert.deepEqual((await session.changes()).changeSets, []);
  await session.close();
});

test('an empty batch is answered with nothing applied', async () => {
  const session = await connect('empty');
  assert.deepEqual(await session.apply([], 'none'),
    { type: 'apply_result', requestId: 'none', applied: 0, skipped: 0, conflicts: 0, transactions: 0 });
  await session.close();
});

test('answers come in the order of the requests', async () => {
  const session = await connect('order');
  const writer = new Writer(site(1));
  for (let i = 0; i < 100; i++) {
    session.send({ type: 'apply_changes', changes: [writer.transaction(cell('t', [i], 'a', i))], requestId: i });
  }
  for (let i = 0; i < 100; i++) assert.equal((await session.next('apply_result')).requestId, i);
  await session.close();
});

test('a message in many fragments is one message', async () => {
  const session = await connect('fragments');
  const writer = new Writer(site(1));
  const message = { type: 'apply_changes', changes: [writer.transaction(cell('t', [1], 'a', 'x'.repeat(5000)))] };
  const text = JSON.stringify(message);
  for (let i = 0; i < text.length; i += 100) {
    session.socket.send(text.slice(i, i + 100), { fin: i + 100 >= text.length });
  }
  assert.equal((await session.next()).applied, 1);
  await session.close();
});

test('every message of the server is a text frame', async () => {
  const session = await connect('text');
  const writer = new Writer(site(2));
  await session.apply([writer.transaction(cell('t', [1], 'a', 'naïve 日本語 🙂'))]);
  await session.changes();
  await session.chunks();
  await session.barrier();
  assert.ok(session.history.length > 5);
  assert.ok(session.history.every(({ message }) => message.type !== '(binary frame)'));
  await session.close();
});

test('a binary frame does no harm to others', async () => {
  const [rude, other] = await Promise.all([connect('binary'), connect('other')]);
  rude.send(Buffer.from('{"type":"ping"}'));
  const answer = await Promise.race([rude.next(), rude.closed]);
  if (answer.type !== undefined) assert.ok(['pong', 'error'].includes(answer.type), JSON.stringify(answer));
  else assert.equal(answer.code, 1003);
  assert.notEqual(answer.fatal, true);
  await other.barrier();
  await Promise.all([rude.terminate(), other.close()]);
});

test('a message up to the limit is taken, one over it is refused without a fatal error', async () => {
  const db = freshDatabase('limit');
  const session = await Session.open(server, { db, site: site(1) });
  const writer = new Writer(site(1));
  const message = (pk, bytes) => ({ type: 'apply_changes', changes: [writer.transaction(cell('t', [pk], 'a',
    'x'.repeat(bytes)))] });
  const room = MESSAGE_BYTES_MAX - JSON.stringify(message(1, 0)).length;
  session.send(message(1, room));
  assert.equal((await session.next('apply_result')).applied, 1);
  session.send(message(2, room + 1));
  const answer = await Promise.race([session.next(), session.closed]);
  if (answer.type === undefined) assert.equal(answer.code, 1009);
  else assert.equal(answer.fatal, false, JSON.stringify(answer));
  assert.ok(session.history.every(({ message: { fatal } }) => fatal !== true));
  await session.terminate();
  const reader = await Session.open(server, { db, site: site(2) });
  const { changeSets } = await reader.changes();
  assert.deepEqual(changeSets.flatMap(({ changes }) => changes.map(({ pk }) => pk)), [[1]]);
  await reader.close();
});

test('a session of one database sees nothing of another', async () => {
  const [a, b] = await Promise.all([connect('one', 1), connect('two', 2)]);
  const writer = new Writer(site(1));
  await a.apply([writer.transaction(cell('t', [1], 'a', 1))]);
  await b.barrier();
  assert.deepEqual(b.inbox, []);
  assert.deepEqual((await b.changes()).changeSets, []);
  await Promise.all([a.close(), b.close()]);
});
