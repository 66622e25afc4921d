// Connections that stall are given up, each by the limit that is made for it.
import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import { request } from './lib/http.mjs';
import { startServer } from './lib/server.mjs';
import { Session } from './lib/session.mjs';
import { until, within } from './lib/wait.mjs';

const SITE = 'A'.repeat(22);
const UPGRADE = 'GET /sync/ws HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n'
  + 'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n';

// A socket that says `text` and then nothing; .bytes is what came, .ended when it was closed.
async function mute(t, server, text) {
  const socket = net.connect(server.port, '127.0.0.1');
  t.after(() => socket.destroy());
  const out = { socket, bytes: Buffer.alloc(0) };
  out.ended = new Promise((resolve) => socket.on('close', resolve));
  socket.on('error', () => {});
  socket.on('data', (data) => (out.bytes = Buffer.concat([out.bytes, data])));
  await new Promise((resolve) => socket.on('connect', resolve));
  socket.write(text);
  return out;
}

// A masked text frame of a client.
function frame(text) {
  const bytes = Buffer.from(text);
  assert.ok(bytes.length > 125 && bytes.length < 65536);
  return Buffer.concat([Buffer.from([0x81, 0xfe, bytes.length >> 8, bytes.length & 255, 0, 0, 0, 0]), bytes]);
}

async function hits(server, limit) {
  const text = (await request(server.base, { path: '/metrics' })).text;
  return Number(new RegExp(`^sync_limit_hits_total\\{limit="${limit}"\\} (\\d+)$`, 'm').exec(text)[1]);
}

test('a session is pinged, and given up when it does not answer', async (t) => {
  const server = await startServer(t, {
    settings: { 'server.pingIntervalMs': 1000, 'server.pongTimeoutMs': 1000 },
  });
  const handshake = JSON.stringify({
    type: 'handshake', databaseId: 'db1', siteId: SITE, protocolVersion: 1, filler: 'x'.repeat(100),
  });
  const silent = await mute(t, server, UPGRADE);
  await until(() => silent.bytes.includes('\r\n\r\n'), 'the upgrade');
  silent.socket.write(frame(handshake));
  const answering = await Session.open(server, { db: 'db1', site: `${'A'.repeat(21)}Q` });
  let pings = 0;
  answering.socket.on('ping', () => pings++);
  await within(silent.ended, 'the silent session to be closed');
  assert.ok(silent.bytes.includes(Buffer.from([0x89, 0])), 'it was pinged');
  await until(() => pings >= 3, 'three pings');
  await answering.barrier();
  assert.equal(await hits(server, 'pong_timeout'), 1);
});

test('a head and a body that do not come are given up', async (t) => {
  const server = await startServer(t, { settings: { 'limits.httpTimeoutMs': 1000, 'limits.headTimeoutMs': 1000 } });
  const head = `POST /sync/db1/changes HTTP/1.1\r\nhost: x\r\nx-site-id: ${SITE}\r\ncontent-type: application/json\r\n`;
  const stalled = [
    await mute(t, server, 'GET /sync/hea'),
    await mute(t, server, ''),
    await mute(t, server, `${head}content-length: 100\r\n\r\n{"changes":`),
    await mute(t, server, `${head}transfer-encoding: chunked\r\n\r\n5\r\n{"cha`),
  ];
  await within(Promise.all(stalled.map((s) => s.ended)), 'all to be closed', 20_000);
});

test('a WebSocket without a handshake is given up', async (t) => {
  const server = await startServer(t, { settings: { 'limits.handshakeTimeoutMs': 500 } });
  const session = await Session.open(server);
  assert.equal((await within(session.closed, 'the session to end')).code, 1008);
  assert.equal(await hits(server, 'handshake_timeout'), 1);
});

test('connections beyond the limit are turned away, and come in when others have gone', async (t) => {
  const server = await startServer(t, { settings: { 'limits.connections': 4 } });
  const open = [];
  for (let i = 0; i < 4; i++) open.push(await Session.open(server));
  await assert.rejects(Session.open(server));
  for (const session of open) await session.terminate();
  await until(() => Session.open(server).catch(() => undefined), 'a session to come in');
});
