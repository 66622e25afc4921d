// Hooks that hang, crash, come and go, and identities that end.
import assert from 'node:assert/strict';
import { createHmac, createSign, generateKeyPairSync } from 'node:crypto';
import { copyFileSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { cell, factsOf, Writer } from './lib/facts.mjs';
import { fifo, letGo, metric, scripted, shipped } from './lib/hooks.mjs';
import { HttpClient } from './lib/http.mjs';
import { site } from './lib/ids.mjs';
import { Random } from './lib/random.mjs';
import { nest, startServer, temporaryDirectory } from './lib/server.mjs';
import { Session } from './lib/session.mjs';
import { until, within } from './lib/wait.mjs';

const start = (t, ...hooks) => startServer(t, { settings: { hooks } });
const count = (server, text) => server.log.filter((line) => line.includes(text)).length;
const logged = (server, text, times = 1) =>
  until(() => count(server, text) >= times, () => `${times} times ${text}:\n${server.logText()}`);

function change(client, value) {
  return new Writer(client.site).transaction(cell('t', [1], 'a', value));
}

async function reload(server, hooks, outcome = 'config.reloaded') {
  const before = count(server, outcome);
  writeFileSync(server.configFile, JSON.stringify(nest({ ...server.settings, hooks })));
  server.signal('SIGHUP');
  await logged(server, outcome, before + 1);
}

// ---- hooks that do not return

test('a hook that hangs refuses at its deadline, is counted, and holds up nobody else', async (t) => {
  const pipe = fifo();
  const server = await start(t, scripted(`before=block fifo=${pipe}`, { timeoutMs: 100 }));
  const client = new HttpClient(server, site());
  const answer = await client.post('shop', [change(client, 1)]);
  assert.deepEqual([answer.status, answer.json.error.code], [503, 'UNAVAILABLE']);
  assert.equal(answer.headers['retry-after'], '1');
  await logged(server, 'before_apply_changes did not return within 100 ms');
  assert.equal(await metric(server, 'sync_hook_stuck_calls'), 1);
  assert.equal(await metric(server, 'sync_hook_timeouts_total{hook="hook_scripted"}'), 1);
  assert.equal((await client.get('/shop/changes')).status, 200);
  await until(() => letGo(pipe), 'the hook to be let go'); // its answer comes too late
  await logged(server, 'a call returned after its deadline');
  await until(async () => (await metric(server, 'sync_hook_stuck_calls')) === 0, 'no call to be stuck');
  assert.deepEqual((await client.delta('shop')).changes, [], 'and takes nothing with it');
});

test('batches that a hook does not give back count in what is being received', async (t) => {
  const MIB = 1 << 20;
  const pipe = fifo();
  const server = await startServer(t, {
    settings: {
      hooks: [scripted(`before=block fifo=${pipe}`, { timeoutMs: 100 })],
      'limits.receivingBytes': 2 * MIB, 'limits.messageBytes': 2 * MIB, 'limits.bodyBytes': 2 * MIB,
    },
  });
  const hits = () => metric(server, 'sync_limit_hits_total{limit="receiving_bytes"}');
  const client = new HttpClient(server, site());
  for (let i = 1; i <= 2; i++) {
    assert.equal((await client.post('shop', [change(client, 'x'.repeat(900 * 1024))])).status, 503);
    await until(async () => (await metric(server, 'sync_hook_stuck_calls')) === i, `${i} calls to be stuck`);
  }
  const text = JSON.stringify({ type: 'ping', filler: 'x'.repeat(600 * 1024) });
  const sessions = [await Session.open(server, { db: 'shop', site: site() }), await Session.open(server, { db: 'shop', site: site() })];
  assert.equal(await hits(), 0);
  for (const each of sessions) each.socket.send(text.slice(0, 500 * 1024), { fin: false });
  await until(async () => (await hits()) > 0, 'one of two messages to wait'); // alone they have room
  for (const each of sessions) each.socket.send(text.slice(500 * 1024), { fin: true });
  await Promise.all(sessions.map((each) => each.next('pong')));

  await until(async () => {
    letGo(pipe);
    return (await metric(server, 'sync_hook_stuck_calls')) === 0;
  }, 'the hook to give them back');
  await until(async () => {
    const before = await hits();
    for (const each of sessions) each.socket.send(text.slice(0, 500 * 1024), { fin: false });
    for (const each of sessions) each.socket.send(text.slice(500 * 1024), { fin: true });
    await Promise.all(sessions.map((each) => each.next('pong')));
    return (await hits()) === before;
  }, 'room for both');
});

test('past the bound of stuck calls requests are refused at once', async (t) => {
  const pipe = fifo();
  const server = await start(t, scripted(`authorize=block fifo=${pipe}`, { kind: 'serial', timeoutMs: 200 }));
  const client = new HttpClient(server, site());
  assert.equal((await client.get('/shop/changes')).status, 503);
  const rest = await Promise.all(Array.from({ length: 20 }, () => client.get('/shop/changes')));
  assert.ok(rest.every((answer) => answer.status === 503));
  assert.equal(await metric(server, 'sync_hook_stuck_calls'), 1, 'one at a time: one thread is all it can hold');
  await until(() => letGo(pipe), 'the hook to be let go');
});

test('a hook that never returns does not keep the server from stopping', async (t) => {
  const pipe = fifo();
  const server = await start(t, scripted(`authorize=block fifo=${pipe}`, { timeoutMs: 100 }));
  assert.equal((await new HttpClient(server, site()).get('/shop/changes')).status, 503);
  await server.stop(); // exit code 0
  assert.match(server.logText(), /hook\.left_behind/);
});

test('requests of one session keep their order through a slow hook', async (t) => {
  const pipe = fifo();
  const server = await start(t, scripted(`before=block fifo=${pipe}`, { timeoutMs: 60_000, kind: 'serial' }));
  const session = await Session.open(server, { db: 'shop', site: site() });
  const writer = new Writer(site());
  for (let i = 0; i < 5; i++)
    session.send({ type: 'apply_changes', requestId: String(i), changes: [writer.transaction(cell('t', [i], 'a', i))] });
  session.send({ type: 'get_changes' });
  let done = false;
  const letting = until(() => done || (letGo(pipe), false), 'all calls to be let go', 60_000);
  const order = [];
  while (order.at(-1) !== 'changes') {
    const message = await session.next(['apply_result', 'changes']);
    order.push(message.type === 'changes' ? 'changes' : message.requestId);
    if (message.type === 'changes') assert.equal(factsOf(message.changeSets).length, 5);
  }
  assert.deepEqual(order, ['0', '1', '2', '3', '4', 'changes']);
  done = true;
  await letting;
  assert.equal(count(server, 'text=blocked'), 5);
  await session.close();
});

test('a session that goes while it is asked about leaves nothing behind', async (t) => {
  const pipe = fifo();
  const server = await start(t, scripted(`client_connect=block fifo=${pipe} trace=yes`, { timeoutMs: 60_000 }));
  const session = await Session.open(server);
  session.send({ type: 'handshake', databaseId: 'shop', siteId: site(), protocolVersion: 1 });
  await logged(server, 'text=blocked');
  await session.terminate();
  await until(() => letGo(pipe), 'the hook to be let go');
  await logged(server, 'goodbye'); // it was let in after all
});

// ---- in a process of its own

const residentMib = (pid) => Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) >> 10;
const helperOf = (server) => Number(readFileSync(`/proc/${server.pid}/task/${server.pid}/children`, 'utf8').trim()
  || readdirSync(`/proc/${server.pid}/task`).map((id) => readFileSync(`/proc/${server.pid}/task/${id}/children`, 'utf8').trim()).join(''));

test('what a hook leaks in a process of its own is not the server\'s, and goes with that process', async (t) => {
  const CALLS = 12;
  const server = await start(t, scripted(`leak=${8 << 20}`, { isolation: 'process' }));
  const client = new HttpClient(server, site());
  const before = residentMib(server.pid), helper = helperOf(server);
  for (let i = 0; i < CALLS; i++) assert.equal((await client.get('/shop/changes')).status, 200);
  assert.ok(residentMib(helper) >= CALLS * 8, `the helper has ${residentMib(helper)} MiB`);
  assert.ok(residentMib(server.pid) - before < CALLS * 4, `the server had ${before}, has ${residentMib(server.pid)} MiB`);
  process.kill(helper, 'SIGKILL'); // as the system does when memory is short
  await logged(server, 'its process ended with signal 9');
  await until(() => helperOf(server) > 0 && helperOf(server) !== helper, 'another helper');
  await until(() => residentMib(helperOf(server)) > 0 && residentMib(helperOf(server)) < CALLS * 8, 'a small one');
});

test('a hook that crashes in a process of its own takes nothing along', async (t) => {
  const server = await start(t, scripted('before=crash', { isolation: 'process' }));
  const client = new HttpClient(server, site());
  assert.match(server.logText(), /hook\.loaded hook=hook_scripted \S+ isolation=process/);
  for (let i = 0; i < 3; i++) {
    const answer = await until(async () => {
      const got = await client.post('shop', [change(client, i)]);
      return count(server, 'exit') > i || count(server, 'ended') > i ? got : undefined;
    }, () => `crash ${i}:\n${server.logText()}`);
    assert.equal(answer.status, 503);
    await until(async () => (await client.get('/shop/changes')).status === 200, 'a helper to be there again');
  }
});

test('every function works in a process of its own', async (t) => {
  const script = 'user=ann reader=bob before=table:ledger count=seen trace=yes';
  const server = await start(t, scripted(script, { isolation: 'process' }));
  const client = new HttpClient(server, site());
  const writer = new Writer(client.site);
  const result = await client.apply('shop', writer.transaction(cell('t', [1], 'a', 1)), writer.transaction(cell('ledger', [1], 'a', 1)));
  assert.deepEqual([result.applied, result.rejected.length], [1, 1]);
  await logged(server, 'after ann sets=1 applied=1 rejected=1');
  const bob = new HttpClient(server, site(), { headers: { 'x-api-key': 'k' } });
  assert.equal((await bob.get('/shop/changes')).status, 200);
  const session = await Session.open(server, { db: 'shop', site: site() });
  assert.equal(factsOf((await session.changes()).changeSets).length, 1);
  await session.close();
  await logged(server, 'goodbye ann');
  assert.ok((await metric(server, 'sync_hook_counter_total{hook="hook_scripted",name="seen"}')) > 0);
});

// ---- reload

test('SIGHUP loads the hooks anew under load: each request is decided by the old or the new ones', async (t) => {
  const server = await start(t, scripted('user=old shutdown=gone'));
  const client = new HttpClient(server, site());
  const writer = new Writer(client.site);
  let ended = false;
  let sent = 0;
  const load = Array.from({ length: 4 }, async () => {
    for (; !ended; sent++) {
      const answer = await client.post('shop', [writer.transaction(cell('t', [sent], 'a', sent))]);
      assert.ok(answer.status === 200 || answer.json.error.message === 'new may not', answer.text);
    }
  });
  for (let round = 1; round <= 4; round++) {
    await reload(server, [round % 2 === 1 ? scripted('user=new reader=new') : scripted('user=old shutdown=gone')]);
    const before = sent;
    await until(() => sent > before + 8, 'requests to go on');
  }
  await reload(server, [scripted('user=new reader=new')]);
  ended = true;
  await Promise.all(load);
  await logged(server, 'text=gone', 3);
  assert.equal((await client.post('shop', [change(client, 1)])).status, 403, 'the last ones are in force');
});

test('hooks that do not load leave the ones before in place', async (t) => {
  const server = await start(t, scripted('only=key'));
  const status = async () => (await new HttpClient(server, site(), { token: 'other' }).get('/shop/changes')).status;
  for (const hooks of [[scripted('')], []]) {
    await reload(server, [{ path: '/nowhere/guard.so' }, ...hooks], 'config.reload_failed');
    assert.match(server.log.findLast((line) => line.includes('config.reload_failed')), /\/nowhere\/guard\.so/);
    assert.equal(await status(), 401);
  }
  await reload(server, [scripted('only=other')]);
  assert.equal(await status(), 200);
  await reload(server, []);
  assert.equal((await new HttpClient(server, site()).get('/shop/changes')).status, 200, 'without hooks everyone may come');
});

test('with auth.mode custom a reload never ends without a hook that authenticates', async (t) => {
  const server = await startServer(t, { settings: { 'auth.mode': 'custom', hooks: [scripted('only=key')] } });
  await reload(server, [shipped('audit-log', path.join(temporaryDirectory(), 'log'))], 'config.reload_failed');
  assert.match(server.logText(), /no hook of the list has authenticate/);
  assert.equal((await new HttpClient(server, site()).get('/shop/changes')).status, 401);
  assert.equal((await new HttpClient(server, site(), { token: 'key' }).get('/shop/changes')).status, 200);
});

test('a server without hooks gets its first ones by a reload, and open sessions are asked about', async (t) => {
  const server = await start(t);
  const session = await Session.open(server, { db: 'shop', site: site(), token: 'tok' });
  const client = new HttpClient(server, site(), { token: 'tok' });
  await reload(server, [scripted('only=tok before=table:ledger')]);
  assert.equal((await client.apply('shop', change(client, 1))).applied, 1);
  assert.equal((await new HttpClient(server, site()).get('/shop/changes')).status, 401);
  // Its token was not kept, since nobody had asked for it: it has to come again.
  const error = await session.next('error', { ms: 30_000 });
  assert.deepEqual([error.code, error.fatal], ['AUTH_EXPIRED', false]);
  assert.equal((await within(session.closed, 'the session to close')).code, 4001);
});

test('a hook with reload keeps its state, and a file that was replaced is loaded', async (t) => {
  const file = path.join(temporaryDirectory(), 'guard.so');
  copyFileSync(scripted('', { kind: 'reloads' }).path, file);
  const server = await start(t, { path: file, config: 'count=calls' });
  const client = new HttpClient(server, site());
  await client.get('/shop/changes');
  await reload(server, [{ path: file, config: 'count=calls' }]);
  assert.equal(await metric(server, 'sync_hook_counter_total{hook="guard",name="reloads"}'), 1);
  assert.ok((await metric(server, 'sync_hook_counter_total{hook="guard",name="calls"}')) > 1, 'it went on');
  copyFileSync(scripted('', { kind: 'serial' }).path, `${file}.new`);
  renameSync(`${file}.new`, file);
  await reload(server, [{ path: file, config: 'count=calls' }]);
  assert.equal(await metric(server, 'sync_hook_counter_total{hook="guard",name="reloads"}'), undefined, 'it began anew');
  assert.equal((await client.get('/shop/changes')).status, 200);
});

// ---- identities that end

async function expired(session, text) {
  const error = await session.next('error', { ms: 30_000 });
  assert.deepEqual([error.code, error.message, error.fatal], ['AUTH_EXPIRED', text, false]);
  assert.equal((await within(session.closed, 'the session to close')).code, 4001);
}

test('a user who was revoked loses the open connection at the next recheck', async (t) => {
  const revoked = path.join(temporaryDirectory(), 'revoked');
  const server = await start(t, scripted(`recheckin=1000 revoked=${revoked} count=asked`));
  const session = await Session.open(server, { db: 'shop', site: site(), token: 'tok' });
  const asked = () => metric(server, 'sync_hook_counter_total{hook="hook_scripted",name="asked"}');
  const first = await asked();
  await until(async () => (await asked()) > first, 'a recheck', 30_000);
  await session.barrier();
  writeFileSync(revoked, '');
  await expired(session, 'revoked');
  assert.match(server.logText(), /auth\.recheck_failed/);
});

test('an identity that expires is asked about again, and goes when the answer is no longer', async (t) => {
  const expires = Date.now() + 1500;
  const server = await start(t, scripted(`expires=${expires}`));
  const session = await Session.open(server, { db: 'shop', site: site(), token: 'tok' });
  await expired(session, 'what let you in has expired');
  assert.ok(Date.now() >= expires);
});

test('an identity that is prolonged stays, with everything it missed', async (t) => {
  const server = await start(t, scripted('expiresin=1200 count=asked'));
  const session = await Session.open(server, { db: 'shop', site: site() });
  await session.changes();
  const nudge = await session.next('handshake_ack', { ms: 30_000 }); // pushes were kept from it meanwhile
  assert.equal(nudge.type, 'handshake_ack');
  const client = new HttpClient(server, site());
  await client.apply('shop', change(client, 1));
  assert.equal(factsOf((await session.changes()).changeSets).length, 1);
  await session.close();
});

test('a recheck that nobody can decide is tried again, and lets the session be', async (t) => {
  const server = await start(t, scripted('recheckin=1000'));
  const session = await Session.open(server, { db: 'shop', site: site() });
  await reload(server, [scripted('authenticate=fail')]);
  await until(() => count(server, 'auth.recheck_failed') > 0, 'a recheck to fail', 30_000);
  await session.barrier();
  await reload(server, [scripted('')]);
  await session.barrier();
  await session.close();
});

// ---- jwt.so

const b64 = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

function token(header, claims, sign) {
  const text = `${b64(header)}.${b64(claims)}`;
  return `${text}.${sign(text)}`;
}

test('JWTs that must not let anybody in do not, over both transports', async (t) => {
  const folder = temporaryDirectory();
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  const pem = publicKey.export({ type: 'spki', format: 'pem' });
  writeFileSync(path.join(folder, 'key.pem'), pem);
  const server = await start(t, shipped('jwt', `key=RS256:file:${folder}/key.pem leeway_s=0`));
  const rs256 = (key) => (text) => createSign('RSA-SHA256').update(text).sign(key).toString('base64url');
  const hs256 = (key) => (text) => createHmac('sha256', key).update(text).digest('base64url');
  const now = Math.floor(Date.now() / 1000);
  const claims = { sub: 'ann', databases: ['shop', 'team-*'], exp: now + 600 };
  const rs = { alg: 'RS256', typ: 'JWT' };
  const good = token(rs, claims, rs256(privateKey));
  const [head, body, signature] = good.split('.');
  const bad = {
    'no token': '',
    expired: token(rs, { ...claims, exp: now - 10 }, rs256(privateKey)),
    'not yet valid': token(rs, { ...claims, nbf: now + 300 }, rs256(privateKey)),
    'without an expiry': token(rs, { sub: 'ann', databases: '*' }, rs256(privateKey)),
    'for another database': token(rs, { ...claims, databases: ['other'] }, rs256(privateKey)),
    'signed with another key': token(rs, claims, rs256(stranger)),
    'alg none': token({ alg: 'none' }, claims, () => ''),
    'alg none with a signature': token({ alg: 'none' }, claims, rs256(privateKey)),
    'the public key as an HMAC secret': token({ alg: 'HS256' }, claims, hs256(pem)),
    'a changed claim': `${head}.${b64({ ...claims, sub: 'root' })}.${signature}`,
    'a cut signature': good.slice(0, -8),
    'no signature': `${head}.${body}.`,
    'for another site': token(rs, { ...claims, site_id: site() }, rs256(privateKey)),
    rubbish: 'a.b.c',
  };
  for (const [what, text] of Object.entries(bad)) {
    const answer = await new HttpClient(server, site(), { token: text }).get('/shop/changes');
    assert.deepEqual([answer.status, answer.json.error.code], [401, 'AUTH_FAILED'], what);
    await assert.rejects(Session.open(server, { db: 'shop', site: site(), token: text }), /AUTH_FAILED/, what);
    assert.ok(text === '' || !server.logText().includes(text), 'no token in the log');
  }
  const ann = new HttpClient(server, site(), { token: good });
  assert.equal((await ann.get('/shop/changes')).status, 200);
  assert.equal((await ann.get('/team-red/changes')).status, 200);
  const session = await Session.open(server, { db: 'shop', site: site(), token: good });
  await session.close();
  const reader = new HttpClient(server, site(), { token: token(rs, { ...claims, access: 'read-only' }, rs256(privateKey)) });
  assert.equal((await reader.get('/shop/changes')).status, 200);
  assert.equal((await reader.post('shop', [change(reader, 1)])).status, 403);
});

test('a token-file and an audit log in one chain', async (t) => {
  const folder = temporaryDirectory();
  writeFileSync(path.join(folder, 'tokens'), 'key-of-ann ann shop read-write\nkey-of-bob bob * read-only\n');
  const server = await start(t, shipped('token-file', path.join(folder, 'tokens')), shipped('audit-log', path.join(folder, 'audit')));
  const ann = new HttpClient(server, site(), { token: 'key-of-ann' });
  await ann.apply('shop', change(ann, 1));
  const bob = new HttpClient(server, site(), { token: 'key-of-bob' });
  assert.equal((await bob.get('/shop/changes')).status, 200);
  assert.equal((await bob.post('shop', [change(bob, 1)])).status, 403);
  assert.equal((await ann.get('/other/changes')).status, 401);
  const audit = await until(() => readFileSync(path.join(folder, 'audit'), 'utf8'), 'a line of the audit log');
  assert.match(audit, /shop ann sets=1 applied=1 rejected=0/);
});

// ---- the token's way in, fed with anything

test('heads made of anything get an answer or the end of the connection, and nobody in', async (t) => {
  const folder = temporaryDirectory();
  writeFileSync(path.join(folder, 'secret'), 'an HMAC secret of more than 32 bytes');
  const hooks = [shipped('jwt', `key=HS256:file:${folder}/secret`), scripted('trace=yes')];
  const server = await startServer(t, { settings: { hooks, 'limits.httpTimeoutMs': 2000 } });
  const random = new Random(42);
  const pieces = ['Bearer ', 'bearer', 'Basic ', 'ey', '.', '..', '=', '\t', ' ', '%00', '\x00', '\x7f', '\xff', 'é', '{"alg":"none"}', b64({ alg: 'none' }),
    b64({ alg: 'HS256', kid: 'a'.repeat(300) }), ',', ';', '"', '\\', ':', 'a'.repeat(5000), 'X-Api-Key', 'Authorization', 'Cookie: a=b'];
  const anything = () => Array.from({ length: random.below(6) }, () => pieces[random.below(pieces.length)]).join('');
  for (let i = 0; i < 300; i++) {
    const upgrade = random.below(3) === 0 ? 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n' : '';
    const target = upgrade === '' ? '/sync/shop/changes' : '/sync/ws';
    const head = `GET ${target} HTTP/1.1\r\nHost: a\r\nX-Site-Id: ${site()}\r\n${upgrade}Authorization: ${anything()}\r\nZ-${anything()}: ${anything()}\r\nConnection: close\r\n\r\n`;
    const answer = await exchange(server.port, Buffer.from(head, 'latin1'), upgrade !== '');
    assert.doesNotMatch(answer, /^HTTP\/1\.1 200/, head);
  }
  assert.doesNotMatch(server.logText(), /hook=hook_scripted text=authenticate/, 'none came past the first hook');
  assert.equal((await new HttpClient(server, site()).get('/shop/changes')).status, 401, 'and the server lives');
});

// Sends bytes and returns what comes back until the end, or the first bytes of an upgraded connection.
function exchange(port, bytes, upgrades) {
  const answered = new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write(bytes));
    const parts = [];
    socket.on('data', (part) => {
      parts.push(part);
      if (upgrades) socket.destroy();
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(Buffer.concat(parts).toString('latin1')));
  });
  return within(answered, 'the end of a connection', 60_000);
}
