// CORS (protocol section 4): which browsers' pages may read an answer.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { cell, transactionAt } from './lib/facts.mjs';
import { HttpClient, request } from './lib/http.mjs';
import { site } from './lib/ids.mjs';
import { startServer } from './lib/server.mjs';

const PAGE = 'https://app.example';
const anyOrigin = await startServer({ after });
const listed = await startServer({ after }, { settings: { 'cors.origin': [PAGE, 'http://localhost:5173'] } });
const off = await startServer({ after }, { settings: { 'cors.origin': false } });
const noCredentials = await startServer({ after }, { settings: { 'cors.credentials': false } });

const get = (server, path, origin = PAGE) =>
  request(server.base, { path, headers: { 'x-site-id': site(1), ...(origin ? { origin } : {}) } });
const preflight = (server, path, headers = {}) => request(server.base, { method: 'OPTIONS', path,
  headers: { origin: PAGE, 'access-control-request-method': 'POST', ...headers } });

function assertAllowed(answer, origin = PAGE) {
  assert.equal(answer.headers['access-control-allow-origin'], origin);
  assert.equal(answer.headers['access-control-allow-credentials'], 'true');
  assert.match(answer.headers.vary ?? '', /\borigin\b/i);
}

test('the origin is echoed on every answer, errors and snapshots too', async () => {
  await new HttpClient(anyOrigin, site(1)).apply('db', transactionAt(site(1), 1, 0, [cell('t', [1], 'a', 1)]));
  for (const [path, status] of [['/status', 200], ['/metrics', 200], ['/db/changes', 200], ['/db/snapshot', 200],
    ['/nowhere', 404], ['/a%20b/changes', 400], ['/healthz', 200]]) {
    const answer = await get(anyOrigin, path);
    assert.equal(answer.status, status, path);
    assertAllowed(answer);
  }
});

test('answers to POST are marked as well, refused ones too', async () => {
  const client = new HttpClient(anyOrigin, site(1), { headers: { origin: PAGE } });
  assertAllowed(await client.post('posted', []));
  assertAllowed(await client.post('posted', undefined, { body: '{' }));
  assertAllowed(await client.post('posted', [], { headers: { 'content-type': 'text/plain' } }));
});

test('a request without an origin is answered', async () => {
  const answer = await get(anyOrigin, '/status', null);
  assert.equal(answer.status, 200);
  assert.notEqual(answer.headers['access-control-allow-origin'], '*');
});

test('a preflight on any path is 204 with the methods and the headers that were asked for', async () => {
  for (const path of ['/db/changes', '/status', '/nowhere', '/a%20b/changes']) {
    const answer = await preflight(anyOrigin, path, { 'access-control-request-headers': 'x-site-id, authorization, x-other' });
    assert.equal(answer.status, 204, path);
    assert.equal(answer.body.length, 0);
    assertAllowed(answer);
    const methods = answer.headers['access-control-allow-methods'].split(',').map((method) => method.trim()).sort();
    assert.deepEqual(methods, ['GET', 'HEAD', 'POST']);
    assert.equal(answer.headers['access-control-allow-headers'], 'x-site-id, authorization, x-other');
  }
});

test('an origin on the list is allowed, another gets no Allow-Origin', async () => {
  assertAllowed(await get(listed, '/status'));
  assertAllowed(await get(listed, '/status', 'http://localhost:5173'), 'http://localhost:5173');
  for (const origin of ['https://evil.example', 'https://app.example.evil', 'http://app.example', 'https://APP.example:443', 'null']) {
    const answer = await get(listed, '/status', origin);
    assert.equal(answer.status, 200);
    assert.equal(answer.headers['access-control-allow-origin'], undefined, origin);
    const asked = await preflight(listed, '/db/changes', { origin });
    assert.equal(asked.headers['access-control-allow-origin'], undefined, origin);
  }
});

test('switched off, no answer carries a CORS header', async () => {
  for (const answer of [await get(off, '/status'), await get(off, '/nowhere'), await get(off, '/db/snapshot'),
    await preflight(off, '/db/changes')]) {
    const marked = Object.keys(answer.headers).filter((name) => name.startsWith('access-control-'));
    assert.deepEqual(marked, []);
  }
});

test('without credentials no answer allows them', async () => {
  const answer = await get(noCredentials, '/status');
  assert.ok([PAGE, '*'].includes(answer.headers['access-control-allow-origin']));
  assert.equal(answer.headers['access-control-allow-credentials'], undefined);
});

test('an origin cannot smuggle headers into the answer', async () => {
  const answer = await get(anyOrigin, '/status', 'https://x.example%0d%0aX-Evil: 1');
  assert.equal(answer.headers['x-evil'], undefined);
});
