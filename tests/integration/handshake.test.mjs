// The WebSocket handshake: what is answered, and the order of its checks (protocol section 5).
import test, { after } from 'node:test';
import assert from 'node:assert/strict';
import { assertError } from './lib/errors.mjs';
import { site } from './lib/ids.mjs';
import { freshDatabase } from './lib/names.mjs';
import { startServer } from './lib/server.mjs';
import { Session } from './lib/session.mjs';

const server = await startServer({ after });
const handshake = (fields) => ({ type: 'handshake', databaseId: 'handshake', siteId: site(1), protocolVersion: 1,
  ...fields });

// The error and the close code that this first message leads to.
async function refusal(message) {
  const session = await Session.open(server);
  const error = await session.request(message, 'error');
  const { code } = await session.closed;
  return { error, code };
}

test('a handshake is acknowledged with the database, the server site, a connection id and the version', async () => {
  const session = await Session.open(server);
  const ack = await session.request(handshake(), () => true);
  assert.deepEqual(Object.keys(ack).sort(),
    ['connectionId', 'databaseId', 'protocolVersion', 'serverSiteId', 'type']);
  assert.equal(ack.type, 'handshake_ack');
  assert.equal(ack.databaseId, 'handshake');
  assert.match(ack.serverSiteId, /^[A-Za-z0-9_-]{22}$/);
  assert.equal(typeof ack.connectionId, 'string');
  assert.notEqual(ack.connectionId, '');
  assert.equal(ack.protocolVersion, 1);
  await session.close();
});

test('the server site id is the database\'s own, the connection id the connection\'s', async () => {
  const [a, b, other] = await Promise.all([
    Session.open(server, { db: 'same', site: site(1) }),
    Session.open(server, { db: 'same', site: site(2) }),
    Session.open(server, { db: 'another', site: site(1) }),
  ]);
  assert.equal(a.ack.serverSiteId, b.ack.serverSiteId);
  assert.notEqual(a.ack.serverSiteId, other.ack.serverSiteId);
  assert.equal(new Set([a, b, other].map((session) => session.ack.connectionId)).size, 3);
  await Promise.all([a, b, other].map((session) => session.close()));
});

test('a version other than the integer 1 is fatal and closes with 4003, whatever else is wrong', async () => {
  for (const protocolVersion of [2, 0, 1.5, '1', true, null, undefined, [1], -1]) {
    for (const more of [{}, { databaseId: undefined }, { siteId: 'short' }, { databaseId: 'not/valid' }]) {
      const { error, code } = await refusal(handshake({ protocolVersion, ...more }));
      assertError(error, 'PROTOCOL_VERSION_MISMATCH', { fatal: true });
      assert.equal(code, 4003, `version ${JSON.stringify(protocolVersion)}`);
    }
  }
});

test('a missing database id is fatal and closes with 4002, also where the site id is bad', async () => {
  for (const more of [{}, { siteId: 'short' }, { siteId: undefined }]) {
    const { error, code } = await refusal(handshake({ databaseId: undefined, ...more }));
    assertError(error, 'MISSING_DATABASE_ID', { fatal: true });
    assert.equal(code, 4002);
  }
});

test('a bad site id is fatal and closes with 4001', async () => {
  const bad = [undefined, '', 'short', `${site(1)}A`, site(1).replace(/.$/, '!'), `${site(1).slice(0, 21)}=`, 7, null,
    `${site(1).slice(0, 21)}+`, {}];
  for (const siteId of bad) {
    const { error, code } = await refusal(handshake({ siteId }));
    assertError(error, 'AUTH_FAILED', { fatal: true });
    assert.equal(code, 4001, `site ${JSON.stringify(siteId)}`);
  }
});

test('an invalid database id is fatal and closes with 4001', async () => {
  for (const databaseId of ['a/b', 'a b', '../up', 'ümlaut', 'a\u0000b', 'a'.repeat(256), 'a?b', 'a%20b']) {
    const { error, code } = await refusal(handshake({ databaseId }));
    assertError(error, 'AUTH_FAILED', { fatal: true });
    assert.equal(code, 4001, `database ${JSON.stringify(databaseId)}`);
  }
});

test('every character that a database id may have is taken, up to 255 of them', async () => {
  for (const databaseId of ['a', 'AZaz09_:.-', 'org:team.db-1_x', 'd'.repeat(255), '.', '..', '-']) {
    const session = await Session.open(server, { db: databaseId, site: site(1) });
    assert.equal(session.ack.databaseId, databaseId);
    await session.close();
  }
});

test('a second handshake is a fatal error that does not close and changes nothing', async () => {
  const session = await Session.open(server, { db: freshDatabase('second'), site: site(1) });
  assertError(await session.request(handshake({ databaseId: 'elsewhere' }), 'error'), 'ALREADY_AUTHENTICATED',
    { fatal: true });
  assertError(await session.request(handshake({ databaseId: undefined }), 'error'), 'ALREADY_AUTHENTICATED',
    { fatal: true });
  const { changeSets } = await session.changes();
  assert.deepEqual(changeSets, []);
  await session.close();
});

test('the version is checked before "second handshake", and then closes', async () => {
  const session = await Session.open(server, { db: freshDatabase('version'), site: site(1) });
  assertError(await session.request(handshake({ protocolVersion: 2 }), 'error'), 'PROTOCOL_VERSION_MISMATCH',
    { fatal: true });
  assert.equal((await session.closed).code, 4003);
});

test('a refused handshake leaves no database behind', async () => {
  const { request } = await import('./lib/http.mjs');
  const open = async () => (await request(server.base, { path: '/status' })).json.data;
  const before = await open();
  await refusal(handshake({ databaseId: 'never-made', siteId: 'short' }));
  await refusal(handshake({ databaseId: 'never-made', protocolVersion: 2 }));
  const later = await open();
  assert.equal(later.openStores, before.openStores);
});

test('unknown fields of a handshake are ignored', async () => {
  const session = await Session.open(server);
  const ack = await session.request(handshake({ lastSeen: 5, client: { name: 'x' } }), () => true);
  assert.equal(ack.type, 'handshake_ack');
  await session.close();
});

test('a client that offers compression is served', async () => {
  const session = await Session.open(server, { db: freshDatabase('deflate'), site: site(1),
    options: { perMessageDeflate: true } });
  assert.deepEqual((await session.changes()).changeSets, []);
  await session.close();
});
