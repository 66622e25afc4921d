// Authentication by a list of tokens: HTTP and WebSocket, tokens from settings and from a file.
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { assertError, assertRefused } from './lib/errors.mjs';
import { cell, factSets, transactionAt } from './lib/facts.mjs';
import { HttpClient, request } from './lib/http.mjs';
import { site } from './lib/ids.mjs';
import { freshDatabase } from './lib/names.mjs';
import { startServer, temporaryDirectory } from './lib/server.mjs';
import { Session } from './lib/session.mjs';

const TOKENS = ['first-secret', 'second secret, with a comma', 'drei-äöü'];
const FILE_TOKENS = ['from-a-file', 'and-another'];
const A = site(1);
const tokensFile = path.join(temporaryDirectory(), 'tokens');
writeFileSync(tokensFile, `${FILE_TOKENS.join('\n')}\n\n`, { mode: 0o600 });

const server = await startServer({ after }, { settings: { 'auth.mode': 'token-whitelist', 'auth.tokens': TOKENS } });
const byFile = await startServer({ after }, { settings: { 'auth.mode': 'token-whitelist', 'auth.tokensFile': tokensFile } });
const byFlag = await startServer({ after }, { args: ['--auth-tokens', 'flag-one,flag-two'] });

const get = (on, authorization, route = '/db/changes') =>
  request(on.base, { path: route, headers: { 'x-site-id': A, ...(authorization === undefined ? {} : { authorization }) } });

test('a token is taken as Bearer or bare', async () => {
  for (const authorization of [`Bearer ${TOKENS[0]}`, TOKENS[0], `Bearer ${TOKENS[1]}`, `bearer ${TOKENS[0]}`]) {
    assert.equal((await get(server, authorization)).status, 200, authorization);
  }
});

test('no token, or one that is not on the list, is 401 on every database route', async () => {
  const wrong = [undefined, '', 'Bearer', 'Bearer ', 'wrong', 'Bearer wrong', `Bearer ${TOKENS[0]}x`, `Bearer ${TOKENS[0].slice(1)}`,
    `Basic ${TOKENS[0]}`, TOKENS[0].toUpperCase(), `Bearer Bearer ${TOKENS[0]}`, 'x'.repeat(3000)];
  for (const authorization of wrong) {
    assertRefused(await get(server, authorization), 401, 'AUTH_FAILED');
    assertRefused(await get(server, authorization, '/db/snapshot'), 401, 'AUTH_FAILED');
    const headers = { 'x-site-id': A, 'content-type': 'application/json', ...(authorization === undefined ? {} : { authorization }) };
    const body = JSON.stringify({ changes: [transactionAt(A, 1000, 0, [cell('t', [1], 'a', 1)])] });
    assertRefused(await request(server.base, { method: 'POST', path: '/db/changes', headers, body }), 401, 'AUTH_FAILED');
  }
  assert.deepEqual((await new HttpClient(server, A, { token: TOKENS[0] }).delta('db')).changes, []);
});

test('status and health need no token', async () => {
  for (const route of ['/status', '/healthz', '/readyz']) assert.equal((await get(server, undefined, route)).status, 200, route);
});

test('a browser\'s preflight needs no token', async () => {
  const answer = await request(server.base, { method: 'OPTIONS', path: '/db/changes', headers: { origin: 'https://x.example',
    'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' } });
  assert.equal(answer.status, 204);
});

test('a WebSocket handshake with a token is acknowledged', async () => {
  for (const token of TOKENS) {
    const session = await Session.open(server, { db: freshDatabase('auth'), site: A, token });
    await session.close();
  }
});

test('a WebSocket handshake without one, or with a wrong one, is fatal and closes with 4001', async () => {
  for (const token of [undefined, '', 'wrong', `${TOKENS[0]} `, null, 5, TOKENS, `Bearer ${TOKENS[0]}`]) {
    const session = await Session.open(server);
    session.send({ type: 'handshake', databaseId: 'db', siteId: A, token, protocolVersion: 1 });
    const answer = await session.next();
    if (answer.type === 'handshake_ack') assert.equal(token, `Bearer ${TOKENS[0]}`);
    else assertError(answer, 'AUTH_FAILED', { fatal: true });
    if (answer.type === 'error') assert.equal((await session.closed).code, 4001);
    else await session.close();
  }
});

test('version and database id are checked before the token', async () => {
  const cases = [[{ protocolVersion: 9 }, 'PROTOCOL_VERSION_MISMATCH', 4003], [{ databaseId: undefined }, 'MISSING_DATABASE_ID', 4002]];
  for (const [fields, wanted, code] of cases) {
    const session = await Session.open(server);
    session.send({ type: 'handshake', databaseId: 'db', siteId: A, token: 'wrong', protocolVersion: 1, ...fields });
    assertError(await session.next(), wanted, { fatal: true });
    assert.equal((await session.closed).code, code);
  }
});

test('tokens come from a file, one a line', async () => {
  for (const token of FILE_TOKENS) assert.equal((await get(byFile, `Bearer ${token}`)).status, 200);
  for (const token of ['', FILE_TOKENS.join(','), TOKENS[0]]) {
    assertRefused(await get(byFile, `Bearer ${token}`), 401, 'AUTH_FAILED');
  }
});

test('tokens given without a mode mean that tokens are asked for', async () => {
  assert.equal((await get(byFlag, 'Bearer flag-two')).status, 200);
  assertRefused(await get(byFlag, undefined), 401, 'AUTH_FAILED');
});

test('with a token everything works as without', async () => {
  const db = freshDatabase('works');
  const session = await Session.open(server, { db, site: site(2), token: TOKENS[0] });
  const set = transactionAt(A, 1000, 0, [cell('t', [1], 'a', 1)]);
  await new HttpClient(server, A, { token: TOKENS[1] }).apply(db, set);
  assert.deepEqual((await session.next('push_changes')).changeSets, [set]);
  assert.deepEqual(factSets((await session.changes()).changeSets), [set]);
  await session.close();
});

test('no log line, at any level, holds a token or a value', async (t) => {
  const own = await startServer(t, { settings: { 'auth.mode': 'token-whitelist', 'auth.tokens': TOKENS }, args: ['--debug', '*'] });
  const client = new HttpClient(own, A, { token: TOKENS[0] });
  await client.apply('db', transactionAt(A, 1000, 0, [cell('t', [1], 'a', 'a-private-value')]));
  await get(own, 'Bearer a-wrong-token');
  const session = await Session.open(own);
  session.send({ type: 'handshake', databaseId: 'db', siteId: A, token: 'another-wrong-token', protocolVersion: 1 });
  await session.closed;
  const good = await Session.open(own, { db: 'db', site: A, token: TOKENS[0] });
  await good.close();
  await own.stop();
  assert.ok(own.log.length > 3);
  for (const secret of [...TOKENS, 'a-private-value', 'a-wrong-token', 'another-wrong-token']) {
    assert.ok(!own.logText().includes(secret), `${secret} in the log`);
  }
});
