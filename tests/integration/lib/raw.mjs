// raw.mjs -- a TCP connection on which the test writes whatever bytes it likes, and WebSocket frames made by
// hand, right ones and wrong ones.
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { HttpClient } from './http.mjs';
import { cell, Writer } from './facts.mjs';
import { site } from './ids.mjs';
import { within } from './wait.mjs';

export class Raw {
  static async open(server) {
    const raw = new Raw(net.connect(server.port, '127.0.0.1'));
    await within(new Promise((resolve, reject) => raw.socket.once('connect', resolve).once('error', reject)), 'a connection');
    return raw;
  }

  constructor(socket) {
    this.socket = socket;
    this.bytes = Buffer.alloc(0);
    this.waiting = [];
    this.isClosed = false;
    socket.setNoDelay(true);
    socket.on('error', () => {}); // a close follows
    socket.on('data', (data) => {
      this.bytes = Buffer.concat([this.bytes, data]);
      this.#look();
    });
    this.closed = new Promise((resolve) => socket.on('close', () => {
      this.isClosed = true;
      this.#look();
      resolve();
    }));
    socket.on('end', () => socket.destroy());
  }

  #look() {
    for (const wait of [...this.waiting]) if (this.isClosed || wait.fits()) wait.resolve();
  }

  get text() {
    return this.bytes.toString('latin1');
  }

  // Resolves when it was handed to the kernel, or the connection is gone.
  write(bytes) {
    return new Promise((resolve) => this.socket.write(bytes, () => resolve()));
  }

  // Until what came fits, or the connection was closed.
  async until(fits, what) {
    const wait = { fits: () => fits(this.text) };
    const done = new Promise((resolve) => (wait.resolve = resolve));
    this.waiting.push(wait);
    this.#look();
    await within(done, () => `${what}; came: ${JSON.stringify(this.text.slice(-500))}`);
    this.waiting.splice(this.waiting.indexOf(wait), 1);
  }

  async end(what = 'the server to close the connection') {
    await within(this.closed, () => `${what}; came: ${JSON.stringify(this.text.slice(-500))}`);
  }

  // The statuses of all answers so far.
  get statuses() {
    return [...this.text.matchAll(/HTTP\/1\.[01] (\d{3}) /g)].map(([, status]) => Number(status));
  }

  destroy() {
    this.socket.destroy();
  }
}

export function head(lines, ...more) {
  return `${[lines, ...more].flat().join('\r\n')}\r\n\r\n`;
}

export const UPGRADE = (path = '/sync/ws') => head(`GET ${path} HTTP/1.1`, 'Host: x', 'Upgrade: websocket', 'Connection: Upgrade',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version: 13');

// One frame as a client sends it. `bits`: rsv and fin flags of the first byte.
export function frame(opcode, payload, { fin = true, rsv = 0, mask = true, length } = {}) {
  const body = Buffer.from(payload);
  const size = length ?? body.length;
  const first = (fin ? 0x80 : 0) | (rsv << 4) | opcode;
  const flag = mask ? 0x80 : 0;
  let header;
  if (size < 126) header = Buffer.from([first, flag | size]);
  else if (size < 65536) header = Buffer.from([first, flag | 126, size >> 8, size & 255]);
  else {
    header = Buffer.alloc(10);
    header[0] = first;
    header[1] = flag | 127;
    header.writeBigUInt64BE(BigInt(size), 2);
  }
  if (!mask) return Buffer.concat([header, body]);
  const key = Buffer.from([1, 2, 3, 4]);
  return Buffer.concat([header, key, body.map((byte, n) => byte ^ key[n % 4])]);
}

// An open WebSocket on which nothing was sent yet.
export async function rawWebSocket(server) {
  const raw = await Raw.open(server);
  await raw.write(UPGRADE());
  await raw.until((text) => text.includes('\r\n\r\n'), 'the upgrade');
  if (raw.statuses[0] !== 101) throw new Error(`the upgrade was answered: ${raw.text}`);
  raw.bytes = Buffer.alloc(0);
  return raw;
}

export function residentBytes(server) {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))[1]) * 1024;
}

// An honest client beside the hostile ones: writes and reads back; each call is one round.
export class Honest {
  constructor(server, n = 60) {
    this.writer = new Writer(site(n));
    this.client = new HttpClient(server, this.writer.site);
    this.rounds = 0;
  }

  async round() {
    const set = this.writer.transaction(cell('honest', [(this.rounds += 1)], 'v', 1));
    const { applied } = await this.client.apply('honest', set);
    if (applied !== 1) throw new Error('an honest write was not applied');
  }
}
