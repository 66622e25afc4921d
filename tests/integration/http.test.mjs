// HTTP routes (protocol section 4): statuses, error bodies, HEAD, bodies, and what a query may look like.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import net from 'node:net';
import { gzipSync } from 'node:zlib';
import { assertRefused } from './lib/errors.mjs';
import { cell, factSets, transactionAt, watermarkOf, Writer } from './lib/facts.mjs';
import { chunksOf, HttpClient, request } from './lib/http.mjs';
import { hlc, site } from './lib/ids.mjs';
import { freshDatabase } from './lib/names.mjs';
import { startServer } from './lib/server.mjs';
import { within } from './lib/wait.mjs';

const BODY_BYTES_MAX = 512 * 1024;
const server = await startServer({ after }, { settings: { 'limits.bodyBytes': BODY_BYTES_MAX } });
const A = site(1);
const WALL = 1_700_000_000_000;
const client = new HttpClient(server, A);
const reader = new HttpClient(server, site(99));
const one = (n = 0) => transactionAt(A, WALL + n, 0, [cell('t', [n], 'a', n)]);
const json = { 'content-type': 'application/json' };

test('a POST answers ok and the result, a GET ok and the changes', async () => {
  const db = freshDatabase('http');
  const posted = await client.post(db, [one()]);
  assert.equal(posted.status, 200);
  assert.match(posted.headers['content-type'], /^application\/json\b/);
  assert.deepEqual(posted.json, { ok: true, data: { applied: 1, skipped: 0, conflicts: 0, transactions: 1 } });
  const read = await reader.get(`/${db}/changes`);
  assert.equal(read.status, 200);
  assert.match(read.headers['content-type'], /^application\/json\b/);
  assert.equal(read.json.ok, true);
  assert.deepEqual(factSets(read.json.data.changes), [one()]);
});

test('a database that nobody wrote to is empty', async () => {
  assert.deepEqual((await reader.delta(freshDatabase('empty'))).changes, []);
});

test('paths outside the routes are 404 in the shape of every error', async () => {
  for (const path of ['/nowhere', '/db/nothing', '/db/changes/more', '/db', '/db/snapshot/x', '/status/x', '', '/']) {
    assertRefused(await client.get(path), 404, 'NOT_FOUND');
  }
  const root = server.base.replace(/\/sync$/, '');
  for (const path of ['/', '/db/changes', '/syncx/db/changes', '/metrics', '/favicon.ico']) {
    assertRefused(await request(root, { path }), 404, 'NOT_FOUND');
  }
});

test('/ws without an upgrade is 404', async () => {
  assertRefused(await client.get('/ws'), 404, 'NOT_FOUND');
  const posted = await client.request('POST', '/ws', { body: '{}', headers: json });
  assert.ok([404, 405].includes(posted.status), `${posted.status}`);
  assertRefused(posted, posted.status);
});

test('methods that a route has not are 405', async () => {
  const db = freshDatabase('methods');
  for (const [method, path] of [['DELETE', `/${db}/changes`], ['PUT', `/${db}/changes`], ['PATCH', `/${db}/changes`],
    ['POST', `/${db}/snapshot`], ['DELETE', `/${db}/snapshot`], ['POST', '/status'], ['DELETE', '/metrics']]) {
    assertRefused(await client.request(method, path, { body: '{}', headers: json }), 405);
  }
});

test('the database routes want a site id', async () => {
  const db = freshDatabase('site');
  for (const headers of [{}, { 'x-site-id': '' }, { 'x-site-id': 'short' }, { 'x-site-id': `${A}A` },
    { 'x-site-id': `${A.slice(0, 21)}!` }]) {
    for (const [method, path] of [['GET', `/${db}/changes`], ['POST', `/${db}/changes`], ['GET', `/${db}/snapshot`]]) {
      const body = method === 'POST' ? JSON.stringify({ changes: [one()] }) : undefined;
      const answer = await request(server.base, { method, path, headers: { ...headers, ...(body ? json : {}) }, body });
      assert.ok([400, 401].includes(answer.status), `${answer.status}`);
      assertRefused(answer, answer.status);
    }
  }
  assert.deepEqual((await reader.delta(db)).changes, []);
});

test('invalid database ids are 400 on every database route, an empty one too', async () => {
  const bad = ['', 'a%20b', 'a%2Fb', 'a+b', 'a*b', 'a~b', `${'x'.repeat(256)}`, '%C3%BC', 'a,b', 'a@b'];
  for (const db of bad) {
    assertRefused(await client.get(`/${db}/changes`), 400, 'INVALID_DATABASE_ID');
    assertRefused(await client.get(`/${db}/snapshot`), 400, 'INVALID_DATABASE_ID');
    assertRefused(await client.post(db, [one()]), 400, 'INVALID_DATABASE_ID');
  }
});

test('paths that play tricks reach no database', async () => {
  const stores = async () => (await request(server.base, { path: '/status', agent: false })).json.data.openStores;
  const before = await stores();
  for (const db of ['%2e%2e%2fx', '..%2f..%2fx', '%00', 'a%00b', 'a%', 'a%zz', 'a%2', '.%2e/x', '../../etc/passwd%00']) {
    for (const path of [`/${db}/changes`, `/${db}/snapshot`]) {
      const answer = await request(server.base, { path, headers: { 'x-site-id': A }, agent: false }).catch(() => undefined);
      // Some are refused below the routes, where an answer has no body of ours, or the connection ends.
      if (answer !== undefined) assert.ok([400, 403, 404].includes(answer.status), `${path}: ${answer.status}`);
    }
  }
  assert.equal(await stores(), before);
});

test('a database id may come percent-encoded', async () => {
  const db = `${freshDatabase('org')}:team.x`;
  await client.apply(db, one());
  for (const path of [db, db.replaceAll(':', '%3A'), db.replaceAll(':', '%3a'), db.replaceAll('.', '%2E')]) {
    assert.equal(factSets((await reader.delta(path)).changes).length, 1, path);
  }
});

test('databases named like routes are databases', async () => {
  for (const db of ['status', 'metrics', 'changes', 'snapshot', 'ws']) {
    assert.equal((await client.apply(db, one())).applied, 1);
    assert.equal(factSets((await reader.delta(db)).changes).length, 1, db);
  }
});

test('HEAD answers every GET route with its status and headers, and no body', async () => {
  const db = freshDatabase('head');
  await client.apply(db, one());
  for (const path of ['/status', '/metrics', '/healthz', '/readyz', `/${db}/changes`, `/${db}/snapshot`]) {
    const [head, get] = [await client.request('HEAD', path), await client.get(path)];
    assert.equal(head.status, 200, path);
    assert.equal(head.headers['content-type'], get.headers['content-type'], path);
    assert.equal(head.body.length, 0, path);
  }
  assert.equal((await client.request('HEAD', '/nowhere')).status, 404);
  assert.equal((await client.request('HEAD', '/a%20b/changes')).status, 400);
});

test('nothing follows the answer to a HEAD on a connection that is kept', async () => {
  const db = freshDatabase('head-kept');
  await client.apply(db, one());
  const lines = [`HEAD /sync/${db}/changes HTTP/1.1`, 'Host: x', `X-Site-Id: ${site(9)}`, '',
    'GET /sync/healthz HTTP/1.1', 'Host: x', 'Connection: close', '', ''].join('\r\n');
  const text = await rawExchange(lines);
  const [first, second] = text.split(/(?=HTTP\/1\.1 )/);
  assert.match(first, /^HTTP\/1\.1 200 [^]*\r\n\r\n$/);
  assert.match(second ?? '', /^HTTP\/1\.1 200 /, text);
});

test('bodies are JSON, with or without a charset; others are 415', async () => {
  const db = freshDatabase('types');
  const body = JSON.stringify({ changes: [one()] });
  for (const type of ['application/json', 'application/json; charset=utf-8', 'application/json;charset=UTF-8',
    'Application/JSON ; charset="utf-8"']) {
    assert.equal((await client.post(db, undefined, { body, headers: { 'content-type': type } })).status, 200, type);
  }
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/jsonx', 'multipart/form-data; boundary=x',
    'application/octet-stream']) {
    assertRefused(await client.post(db, undefined, { body, headers: { 'content-type': type } }), 415);
  }
  assertRefused(await client.request('POST', `/${db}/changes`, { body }), 415);
});

test('a gzip body is read', async () => {
  const db = freshDatabase('gzip');
  const body = gzipSync(JSON.stringify({ changes: [one(), one(1)] }));
  const answer = await client.post(db, undefined, { body, headers: { 'content-encoding': 'gzip' } });
  assert.deepEqual(answer.json.data, { applied: 2, skipped: 0, conflicts: 0, transactions: 2 });
});

test('a body that says gzip and is none, or is cut, is refused', async () => {
  const db = freshDatabase('nogzip');
  const whole = gzipSync(JSON.stringify({ changes: [one()] }));
  const damaged = Buffer.from(whole);
  damaged[damaged.length - 6] ^= 0xff; // its checksum
  for (const body of [Buffer.from('{"changes":[]}'), whole.subarray(0, whole.length - 9), whole.subarray(0, 5), damaged,
    Buffer.alloc(0)]) {
    assertRefused(await client.post(db, undefined, { body, headers: { 'content-encoding': 'gzip' } }), 400, 'INVALID_BODY');
  }
  assert.deepEqual((await reader.delta(db)).changes, []);
});

test('an encoding that is not known is 415', async () => {
  const body = JSON.stringify({ changes: [] });
  assertRefused(await client.post(freshDatabase('br'), undefined, { body, headers: { 'content-encoding': 'br' } }), 415);
});

test('a body up to the limit is taken, one over it is 413', async () => {
  const db = freshDatabase('limit');
  const sized = (n, bytes) => {
    const build = (length) => JSON.stringify({ changes: [transactionAt(A, WALL + n, 0, [cell('t', [n], 'a', 'x'.repeat(length))])] });
    return build(bytes - build(0).length);
  };
  assert.equal((await client.post(db, undefined, { body: sized(1, BODY_BYTES_MAX) })).status, 200);
  assertRefused(await client.post(db, undefined, { body: sized(2, BODY_BYTES_MAX + 1) }), 413, 'PAYLOAD_TOO_LARGE');
  assert.equal(factSets((await reader.delta(db)).changes).length, 1);
});

test('a gzip body that grows over the limit is 413', async () => {
  const db = freshDatabase('bomb');
  const body = gzipSync(JSON.stringify({ changes: [transactionAt(A, WALL, 0, [cell('t', [1], 'a', 'x'.repeat(BODY_BYTES_MAX))])] }));
  assert.ok(body.length < 10_000);
  assertRefused(await client.post(db, undefined, { body, headers: { 'content-encoding': 'gzip' } }), 413, 'PAYLOAD_TOO_LARGE');
  assert.deepEqual((await reader.delta(db)).changes, []);
});

test('a body in chunks, and one that expects to be continued, are read', async () => {
  const db = freshDatabase('chunked');
  const body = JSON.stringify({ changes: [one()] });
  const half = body.length >> 1;
  const chunk = (text) => `${text.length.toString(16)}\r\n${text}\r\n`;
  const chunked = await rawExchange([`POST /sync/${db}/changes HTTP/1.1`, 'Host: x', `X-Site-Id: ${A}`,
    'Content-Type: application/json', 'Transfer-Encoding: chunked', 'Connection: close', '',
    `${chunk(body.slice(0, half))}${chunk(body.slice(half))}0\r\n\r\n`].join('\r\n'));
  assert.match(chunked, /^HTTP\/1\.1 200 [^]*"applied":1/);
  const expecting = await rawExchange([`POST /sync/${db}/changes HTTP/1.1`, 'Host: x', `X-Site-Id: ${A}`,
    'Content-Type: application/json', `Content-Length: ${body.length}`, 'Expect: 100-continue', 'Connection: close', '',
    body].join('\r\n'));
  assert.match(expecting, /HTTP\/1\.1 200 [^]*"conflicts":1/);
});

test('several requests follow one another on a connection', async () => {
  const db = freshDatabase('pipeline');
  const get = (last) => [`GET /sync/${db}/changes HTTP/1.1`, 'Host: x', `X-Site-Id: ${A}`, ...(last ? ['Connection: close'] : []),
    '', ''].join('\r\n');
  const text = await rawExchange(get(false) + get(false) + get(true));
  assert.equal(text.split('HTTP/1.1 200 ').length - 1, 3, text);
});

test('the watermark is read in both base64 alphabets, percent-encoded, with + as + or as a space', async () => {
  const db = freshDatabase('query');
  // A site whose HLCs hold the two characters in which the alphabets differ.
  const odd = Buffer.from('fbefbefbffffffbefbefbffffffbefbe', 'hex').toString('base64url');
  const writer = new HttpClient(server, odd);
  const first = transactionAt(odd, WALL, 0, [cell('t', [1], 'a', 1)]);
  assert.match(first.hlc, /\+.*\/|\/.*\+/);
  await writer.apply(db, first);
  const { changes } = await reader.delta(db);
  const mark = watermarkOf(changes);
  const late = transactionAt(odd, WALL - 1000, 0, [cell('t', [2], 'a', 1)]);
  await writer.apply(db, late);
  // A plain fact HLC as watermark is enough to tell the spellings apart: it is above everything before it.
  for (const watermark of [mark, first.hlc]) {
    const url = watermark.replaceAll('+', '-').replaceAll('/', '_');
    const spellings = [encodeURIComponent(watermark), watermark, watermark.replaceAll('+', '%20'), url,
      encodeURIComponent(watermark).replaceAll('%2B', '+'), encodeURIComponent(watermark).replaceAll('%2B', '%2b'),
      [...Buffer.from(watermark)].map((byte) => `%${byte.toString(16)}`).join('')];
    const answers = [];
    for (const spelling of spellings) {
      const answer = await reader.get(`/${db}/changes?sinceHLC=${spelling}`);
      assert.equal(answer.status, 200, `${spelling}: ${answer.text}`);
      answers.push(factSets(answer.json.data.changes).map(({ transactionId }) => transactionId));
    }
    for (const answer of answers) assert.deepEqual(answer, answers[0]);
    const byHeader = await reader.get(`/${db}/changes`, { 'x-since-hlc': watermark });
    assert.deepEqual(factSets(byHeader.json.data.changes).map(({ transactionId }) => transactionId), answers[0]);
  }
  assert.deepEqual(factSets((await reader.delta(db, mark)).changes), [late]);
});

test('an empty watermark counts as absent, other parameters are ignored', async () => {
  const db = freshDatabase('absent');
  await client.apply(db, one());
  for (const query of ['?', '?sinceHLC=', '?sinceHLC', '?other=1', '?other=1&sinceHLC=', '?wait=']) {
    const answer = await reader.get(`/${db}/changes${query}`);
    assert.equal(answer.status, 200, query);
    assert.equal(factSets(answer.json.data.changes).length, 1, query);
  }
  const answer = await reader.get(`/${db}/changes`, { 'x-since-hlc': '' });
  assert.equal(factSets(answer.json.data.changes).length, 1);
});

test('a malformed watermark is 400', async () => {
  const db = freshDatabase('badmark');
  for (const since of ['x', 'A'.repeat(39), 'A'.repeat(41), `${'A'.repeat(39)}*`, `${'A'.repeat(39)}%C3%BC`]) {
    assertRefused(await reader.get(`/${db}/changes?sinceHLC=${since}`), 400);
  }
  assertRefused(await reader.get(`/${db}/changes`, { 'x-since-hlc': 'x' }), 400);
});

test('the query wins over the header', async () => {
  const db = freshDatabase('both');
  await client.apply(db, one());
  const mark = watermarkOf((await reader.delta(db)).changes);
  const later = hlc(WALL + 1_000_000, 0, A);
  await client.apply(db, one(1));
  const answer = await reader.get(`/${db}/changes?sinceHLC=${encodeURIComponent(mark)}`, { 'x-since-hlc': later });
  assert.equal(factSets(answer.json.data.changes).length, 1);
});

test('a snapshot is newline-delimited JSON', async () => {
  const db = freshDatabase('snapshot');
  await client.apply(db, one());
  const answer = await reader.get(`/${db}/snapshot`);
  assert.equal(answer.status, 200);
  assert.match(answer.headers['content-type'], /^application\/x-ndjson\b/);
  const types = chunksOf(answer.text).map(({ type }) => type);
  assert.deepEqual(types, ['header', 'table-start', 'column-versions', 'table-end', 'footer']);
});

test('requests that are no HTTP end without harm', async () => {
  for (const text of ['\r\n\r\n', 'GET\r\n\r\n', 'HELLO WORLD\r\n\r\n', '\u0000\u0001\u0002\r\n\r\n', `GET /${'x'.repeat(70_000)} HTTP/1.1\r\n\r\n`,
    `GET /sync/status HTTP/1.1\r\n${'X: y\r\n'.repeat(20_000)}\r\n`]) {
    await rawExchange(text, { half: true });
    assert.equal((await request(server.base, { path: '/healthz' })).status, 200);
  }
});

test('the body of a refused request is passed over, however late it comes', async () => {
  const body = '{"changes":[]}';
  const last = 'GET /sync/healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
  for (const [request, status] of [['POST /sync/late/changes', 401], ['PUT /sync/late/changes', 405],
    ['DELETE /sync/late/changes', 405], ['POST /sync/a%20b/changes', 400], ['POST /sync/nowhere', 404]]) {
    const head = `${request} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n`
      + `Content-Length: ${body.length}\r\n\r\n`;
    const text = await converse([head, body.slice(0, 5), body.slice(5), last]);
    assert.deepEqual([...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => Number(match[1])), [status, 200], text);
  }
});

test('many clients at once are all answered', async () => {
  const db = freshDatabase('many');
  const writers = Array.from({ length: 50 }, (_, n) => new Writer(site(1000 + n)));
  const answers = await Promise.all(writers.map((writer, n) =>
    new HttpClient(server, writer.site).apply(db, writer.transaction(cell('t', [n], 'a', n)))));
  assert.ok(answers.every(({ applied }) => applied === 1));
  assert.equal((await reader.readAll(db)).sets.length, 50);
});

// Bytes out, bytes in until the server closes. half: says at once that no more will come, so that a server which
// waits for the rest of a request has a reason to close.
function rawExchange(text, { half = false } = {}) {
  const done = new Promise((resolve) => {
    const socket = net.connect(server.port, '127.0.0.1', () => (half ? socket.end(text) : socket.write(text)));
    let got = '';
    socket.setEncoding('utf8').on('data', (part) => (got += part));
    socket.on('error', () => resolve(got));
    socket.on('close', () => resolve(got));
  });
  return within(done, `an end of the connection after ${text.slice(0, 40)}`);
}

// One connection: the first part, then each further one once the first answer is there and the one before it has
// left, until the server closes.
function converse(parts) {
  const done = new Promise((resolve) => {
    const left = [...parts];
    const socket = net.connect(server.port, '127.0.0.1', () => socket.write(left.shift()));
    let got = '';
    const go = () => left.length > 0 && socket.write(left.shift(), () => setImmediate(go));
    socket.setNoDelay();
    socket.once('data', () => setImmediate(go));
    socket.setEncoding('utf8').on('data', (part) => (got += part));
    socket.on('error', () => resolve(got));
    socket.on('close', () => resolve(got));
  });
  return within(done, `an end of the connection after ${parts[0].slice(0, 40)}`);
}
