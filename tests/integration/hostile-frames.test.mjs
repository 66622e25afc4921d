// WebSocket clients that break the rules of frames, or keep them and mean harm: their connection ends, or they are
// answered; memory stays bounded, and an honest client is served meanwhile.
import test from 'node:test';
import assert from 'node:assert/strict';
import { Honest, Raw, UPGRADE, frame, head, rawWebSocket, residentBytes } from './lib/raw.mjs';
import { startServer } from './lib/server.mjs';
import { PATIENCE, until } from './lib/wait.mjs';

const TEXT = 1;
const CONTINUED = 0;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;
const PING_MESSAGE = '{"type":"ping"}';
const MIB = 1 << 20;

const server = await startServer(test, { settings: { 'limits.messageBytes': 4 * MIB } });
const honest = new Honest(server);

const code = (n, text = '') => Buffer.concat([Buffer.from([n >> 8, n & 255]), Buffer.from(text)]);

const BROKEN = [
  ['reserved bit 1', frame(TEXT, PING_MESSAGE, { rsv: 4 })],
  ['reserved bits 2 and 3', frame(TEXT, PING_MESSAGE, { rsv: 3 })],
  ['an unknown opcode', frame(3, 'x')],
  ['an unknown control opcode', frame(11, 'x')],
  ['a continuation of nothing', frame(CONTINUED, 'x')],
  ['a ping in fragments', frame(PING, 'x', { fin: false })],
  ['a ping over 125 bytes', frame(PING, 'x'.repeat(126))],
  ['a close over 125 bytes', frame(CLOSE, code(1000, 'x'.repeat(126)))],
  ['a length of 2^63', Buffer.concat([Buffer.from([0x81, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 1]), Buffer.from([1, 2, 3, 4])])],
];

for (const [name, bytes] of BROKEN) {
  test(`a frame that breaks the rules ends its connection: ${name}`, async () => {
    const raw = await rawWebSocket(server);
    await raw.write(bytes);
    raw.socket.end(); // nothing more will come: what waits for the rest of a frame gets none
    await raw.end(name);
    assert.doesNotMatch(raw.text, /"pong"/, name);
    await honest.round();
  });
}

// Answered, or ended: either is fine. What counts is that it is over, and harms nobody.
const ODD = [
  ['a frame without a mask', Buffer.concat([frame(TEXT, PING_MESSAGE, { mask: false }), frame(CLOSE, code(1000))])],
  ['a close without a code', frame(CLOSE, '')],
  ['a close with one byte', frame(CLOSE, 'x')],
  ['a close with a code that nobody may send', frame(CLOSE, code(1006))],
  ['a close with a code of 0', frame(CLOSE, code(0))],
  ['a close whose reason is no UTF-8', frame(CLOSE, code(1000, Buffer.from([0xff])))],
  ['two closes, and a message behind them', Buffer.concat([frame(CLOSE, code(1000)), frame(CLOSE, code(1000)), frame(TEXT, PING_MESSAGE)])],
  ['a text that is no UTF-8', Buffer.concat([frame(TEXT, Buffer.from([0x7b, 0xff, 0xfe])), frame(CLOSE, code(1000))])],
  ['a binary frame', Buffer.concat([frame(BINARY, PING_MESSAGE), frame(CLOSE, code(1000))])],
  ['an empty text', Buffer.concat([frame(TEXT, ''), frame(CLOSE, code(1000))])],
  ['a text that begins inside a text', Buffer.concat([frame(TEXT, '{', { fin: false }), frame(TEXT, PING_MESSAGE), frame(CLOSE, code(1000))])],
];

for (const [name, bytes] of ODD) {
  test(`an odd end or message is dealt with: ${name}`, async () => {
    const raw = await rawWebSocket(server);
    await raw.write(bytes);
    await raw.end(name);
    await honest.round();
  });
}

test('control frames between the fragments of a message are answered, and the message is whole', async () => {
  const raw = await rawWebSocket(server);
  const parts = [...PING_MESSAGE].map((letter, n) =>
    frame(n === 0 ? TEXT : CONTINUED, letter, { fin: n === PING_MESSAGE.length - 1 }));
  await raw.write(Buffer.concat(parts.flatMap((part) => [part, frame(PING, 'p'), frame(CONTINUED, '', { fin: false })]).slice(0, -1)));
  await raw.until((text) => text.includes('"pong"'), 'the answer to the message');
  raw.destroy();
});

test('a message that never ends is stopped at its limit, whole or in fragments', async () => {
  const before = residentBytes(server);
  for (const whole of [true, false]) {
    const raw = await rawWebSocket(server);
    const piece = Buffer.alloc(64 << 10, 0x20);
    let sent = 0;
    if (whole) await raw.write(frame(TEXT, '', { length: 64 * MIB }));
    while (!raw.isClosed && sent < 64 * MIB) {
      const ended = /MESSAGE_ERROR/.test(raw.text);
      if (ended) break;
      await raw.write(whole ? piece : frame(sent === 0 ? TEXT : CONTINUED, piece, { fin: false }));
      sent += piece.length;
    }
    await raw.until((text) => text.includes('MESSAGE_ERROR'), 'the refusal, or the end');
    await honest.round();
    raw.destroy();
  }
  if (PATIENCE === 1) assert.ok(residentBytes(server) - before < 48 * MIB, 'memory stays bounded');
});

test('floods of pings, of tiny frames and of empty fragments neither stop others nor cost memory', async () => {
  const before = residentBytes(server);
  const kinds = [
    frame(PING, 'x'.repeat(100)),
    frame(TEXT, '{}'),
    Buffer.concat([frame(TEXT, '', { fin: false }), frame(CONTINUED, '{}')]),
    frame(TEXT, PING_MESSAGE),
  ];
  const floods = await Promise.all([...kinds, ...kinds].map(async (bytes) => {
    const raw = await rawWebSocket(server);
    const block = Buffer.concat(Array(200).fill(bytes));
    return { raw, block };
  }));
  // None of them reads.
  for (const { raw } of floods) raw.socket.pause();
  for (let round = 0; round < 10; round++) {
    for (const { raw, block } of floods) raw.socket.write(block);
    await honest.round();
  }
  if (PATIENCE === 1) assert.ok(residentBytes(server) - before < 48 * MIB, 'memory stays bounded');
  floods.forEach(({ raw }) => raw.destroy());
});

test('floods of upgrades, of half heads and of connections that say nothing leave room for others', async () => {
  const before = residentBytes(server);
  const open = [];
  for (let n = 0; n < 120; n++) {
    const raw = await Raw.open(server);
    open.push(raw);
    if (n % 3 === 0) await raw.write(UPGRADE());
    if (n % 3 === 1) await raw.write(UPGRADE().slice(0, 30));
    if (n % 20 === 0) await honest.round();
  }
  await until(() => open.filter((raw) => raw.statuses[0] === 101).length === 40, 'the upgrades');
  await honest.round();
  if (PATIENCE === 1) assert.ok(residentBytes(server) - before < 48 * MIB, 'memory stays bounded');
  open.forEach((raw) => raw.destroy());
  await honest.round();
});

test('upgrades that are none are refused', async () => {
  const wrong = [
    head('GET /sync/ws HTTP/1.1', 'Host: x', 'Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13'),
    head('GET /sync/other HTTP/1.1', 'Host: x', 'Upgrade: websocket', 'Connection: Upgrade',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version: 13'),
    head('POST /sync/ws HTTP/1.1', 'Host: x', 'Upgrade: websocket', 'Connection: Upgrade',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version: 13', 'Content-Length: 0'),
  ];
  for (const bytes of wrong) {
    const raw = await Raw.open(server);
    await raw.write(bytes);
    raw.socket.end();
    await raw.end('a refusal');
    assert.ok(!raw.statuses.includes(101), raw.text);
  }
  await honest.round();
});
