// TLS in the server: HTTP and WebSocket over it, versions, certificates that cannot be used, and their exchange on
// SIGHUP. The certificates are made here, by the openssl command.
import test from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import tls from 'node:tls';
import { cell, factSets, factsOf, Writer } from './lib/facts.mjs';
import { HttpClient, request } from './lib/http.mjs';
import { site } from './lib/ids.mjs';
import { runBinary, startServer, temporaryDirectory } from './lib/server.mjs';
import { Session } from './lib/session.mjs';
import { until, within } from './lib/wait.mjs';

const directory = temporaryDirectory();
const file = (name) => path.join(directory, name);
const openssl = (...args) => execFileSync('openssl', args, { cwd: directory, stdio: 'pipe' });

// A certificate of its own making for 127.0.0.1: NAME.pem and NAME.key.
function makeCertificate(name, ...key) {
  openssl('req', '-x509', '-nodes', '-days', '2', '-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1',
    '-newkey', ...key, '-keyout', file(`${name}.key`), '-out', file(`${name}.pem`));
}

const EC = ['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
makeCertificate('first', ...EC);
makeCertificate('second', 'rsa:2048');
makeCertificate('third', ...EC);
openssl('pkey', '-in', 'first.key', '-aes256', '-passout', 'pass:secret', '-out', 'locked.key');
// One that another one vouches for.
openssl('req', '-nodes', '-subj', '/CN=leaf', '-newkey', ...EC, '-keyout', 'leaf.key', '-out', 'leaf.csr');
writeFileSync(file('ext'), 'subjectAltName=IP:127.0.0.1\n');
openssl('x509', '-req', '-in', 'leaf.csr', '-CA', 'third.pem', '-CAkey', 'third.key', '-CAcreateserial', '-days', '2', '-extfile', 'ext',
  '-out', 'leaf-alone.pem');
writeFileSync(file('leaf.pem'), readFileSync(file('leaf-alone.pem'), 'utf8') + readFileSync(file('third.pem'), 'utf8'));

const settingsOf = (name) => ({ 'tls.cert': file(`${name}.pem`), 'tls.key': file(`${name}.key`) });
const secure = (t, name = 'first', more = {}) => startServer(t, { settings: { ...settingsOf(name), ...more } });
const open = (server, options) => Session.open(server, { ...options, options: { rejectUnauthorized: false } });

// The outcome of one TLS handshake: {name of the certificate, protocol, alpn} or an error.
function shake(server, options = {}) {
  const socket = tls.connect({ host: '127.0.0.1', port: server.port, rejectUnauthorized: false, ...options });
  const done = new Promise((resolve, reject) => {
    socket.on('secureConnect', () => resolve({
      name: socket.getPeerCertificate().subject.CN, protocol: socket.getProtocol(), alpn: socket.alpnProtocol, authorized: socket.authorized,
    }));
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('closed without a handshake')));
  });
  return within(done, 'a TLS handshake').finally(() => socket.destroy());
}

test('HTTP and WebSocket work over TLS, with a certificate that is checked', async (t) => {
  const server = await secure(t);
  const ca = readFileSync(file('first.pem'));
  assert.deepEqual(await shake(server, { ca, rejectUnauthorized: true, ALPNProtocols: ['h2', 'http/1.1'] }),
    { name: 'first', protocol: 'TLSv1.3', alpn: 'http/1.1', authorized: true });
  const session = await Session.open(server, { db: 'db', site: site(1), options: { ca } });
  const writer = new Writer(site(2));
  const sets = [writer.transaction(cell('t', [1], 'a', 1)), writer.transaction(cell('t', [2], 'a', 'x'.repeat(300_000)))];
  const client = new HttpClient(server, site(2));
  await client.apply('db', sets[0]);
  await client.apply('db', sets[1]);
  const pushed = [];
  while (pushed.length < 2) pushed.push(...(await session.next('push_changes')).changeSets);
  assert.deepEqual(factSets(pushed), sets);
  assert.deepEqual(factSets((await session.changes()).changeSets), sets);
  assert.ok((await session.chunks()).length > 0);
  await session.close();
});

test('TLS 1.2 and 1.3 are spoken, older versions are not', async (t) => {
  const server = await secure(t);
  for (const version of ['TLSv1.2', 'TLSv1.3']) {
    assert.equal((await shake(server, { minVersion: version, maxVersion: version })).protocol, version);
  }
  for (const version of ['TLSv1', 'TLSv1.1']) {
    await assert.rejects(shake(server, { minVersion: version, maxVersion: version, ciphers: 'DEFAULT:@SECLEVEL=0' }), version);
  }
});

test('plain HTTP on a TLS port fails cleanly', async (t) => {
  const server = await secure(t);
  const answered = new Promise((resolve) => {
    const req = http.get({ host: '127.0.0.1', port: server.port, path: '/sync/status' }, (res) => resolve(res.statusCode));
    req.on('error', (error) => resolve(error.code));
  });
  assert.ok(['ECONNRESET', 'HPE_INVALID_CONSTANT', 'EPROTO'].includes(await within(answered, 'an end')));
  const garbage = net.connect(server.port, '127.0.0.1');
  garbage.on('error', () => {});
  garbage.write(Buffer.alloc(5000, 0x16));
  await within(new Promise((resolve) => garbage.on('close', resolve)), 'garbage to be closed');
  assert.equal((await request(server.base, { path: '/status' })).status, 200, 'others are served');
});

test('a long delta and a snapshot go over TLS to a client that reads slowly', async (t) => {
  const server = await secure(t, 'second', { 'limits.sessionQueueBytes': 200_000 });
  const writer = new Writer(site(1));
  const client = new HttpClient(server, site(1));
  const keys = new Set();
  for (let n = 0; n < 12; n++) {
    await client.apply('db', writer.transaction(...Array.from({ length: 50 }, (_, k) => cell('t', [n, k], 'a', 'x'.repeat(20_000)))));
    for (let k = 0; k < 50; k++) keys.add(`${n},${k}`);
  }
  const slow = await open(server, { db: 'db', site: site(2) });
  slow.pause();
  slow.send({ type: 'get_changes' });
  // More than sockets and queue hold, so that the session lags.
  for (let n = 12; n < 30; n++) {
    await client.apply('db', writer.transaction(cell('t', [n, 0], 'a', 'y'.repeat(200_000))));
    keys.add(`${n},0`);
  }
  slow.resume();
  const got = new Set();
  const take = (sets) => factsOf(sets).forEach(({ pk }) => got.add(pk.join()));
  while (got.size < keys.size) {
    const message = await slow.next(['changes', 'push_changes', 'handshake_ack']);
    if (message.type === 'handshake_ack') slow.send({ type: 'get_changes' });
    else take(message.changeSets);
  }
  assert.deepEqual([...got].sort(), [...keys].sort());
  const chunks = await slow.chunks();
  assert.equal(chunks.at(-1).type, 'footer');
  assert.equal((await client.readAll('db')).sets.length >= 0, true);
  await slow.close();
});

test('a large message comes in whole over TLS', async (t) => {
  const server = await secure(t);
  const session = await open(server, { db: 'db', site: site(1) });
  const writer = new Writer(site(1));
  const set = writer.transaction(...Array.from({ length: 200 }, (_, k) => cell('t', [k], 'a', 'z'.repeat(50_000))));
  assert.equal((await session.apply([set])).applied, 200);
  assert.equal((await new HttpClient(server, site(2)).apply('db2', set)).applied, 200);
  await session.close();
});

const MISFITS = [
  ['second.pem', 'first.key', /tls\.key: the key in .*first\.key does not belong to the certificate in .*second\.pem/],
  ['first.key', 'first.key', /tls\.cert: .*first\.key holds no certificate/],
  ['first.pem', 'first.pem', /tls\.key: .*first\.pem holds no private key/],
  ['first.pem', 'locked.key', /tls\.key: .*locked\.key holds no private key in PEM form without a password/],
  ['nowhere.pem', 'first.key', /tls\.cert: .*nowhere\.pem: No such file/],
];

for (const [cert, key, message] of MISFITS) {
  test(`a start with ${cert} and ${key} is refused, and so is the check`, async () => {
    const args = ['--tls-cert', file(cert), '--tls-key', file(key), '--port', '0', '--data-dir', path.join(temporaryDirectory(), 'data')];
    for (const more of [[], ['--check-config']]) {
      const { code, stderr } = await runBinary([...args, ...more]);
      assert.equal(code, 1);
      assert.match(stderr, message);
    }
  });
}

test('a certificate without a key is refused, and a key without a certificate', async () => {
  assert.match((await runBinary(['--tls-cert', file('first.pem')])).stderr, /tls\.cert \(--tls-cert\) is given without tls\.key/);
  assert.match((await runBinary(['--tls-key', file('first.key')])).stderr, /tls\.key \(--tls-key\) is given without tls\.cert/);
});

test('SIGHUP exchanges the certificate, also for one with another kind of key, and open sessions stay', async (t) => {
  const live = { cert: file('live.pem'), key: file('live.key') };
  const install = (name) => {
    copyFileSync(file(`${name}.pem`), live.cert);
    copyFileSync(file(`${name}.key`), live.key);
  };
  const hangUp = async (outcome) => {
    const count = () => server.log.filter((line) => line.includes(outcome)).length;
    const before = count();
    server.signal('SIGHUP');
    await until(() => count() > before, () => `${outcome}: ${server.logText()}`);
  };
  install('first');
  const server = await startServer(t, { settings: { 'tls.cert': live.cert, 'tls.key': live.key } });
  const session = await open(server, { db: 'db', site: site(1) });
  assert.equal((await shake(server)).name, 'first');
  for (const name of ['second', 'third', 'leaf']) {
    install(name);
    await hangUp('config.reloaded');
    for (let i = 0; i < 4; i++) assert.equal((await shake(server)).name, name);
  }
  const ca = readFileSync(file('third.pem'));
  assert.equal((await shake(server, { ca, rejectUnauthorized: true })).authorized, true);
  copyFileSync(file('first.key'), live.key); // the other half is missing yet
  await hangUp('config.reload_failed');
  assert.match(server.logText(), /tls\.key: the key in .*live\.key does not belong/);
  assert.equal((await shake(server)).name, 'leaf', 'what was in force stays');
  await session.barrier();
  writeFileSync(server.configFile, '{}');
  await hangUp('config.reload_failed');
  assert.match(server.logText(), /to turn TLS on or off the server has to be started again/);
  assert.equal((await shake(server)).name, 'leaf');
  await session.close();
});
