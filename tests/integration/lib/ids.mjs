// ids.mjs -- site ids, hybrid logical clocks and transaction ids, as protocol section 1 writes them.
//
// A site id is its text of 22 characters, an HLC its text of 40: what tests compare, log and put into
// messages. readHlc() takes one apart.
import { randomBytes } from 'node:crypto';

const SITE_BYTES = 16;
const HLC_BYTES = 30;
const COUNTER_MAX = 65535;

// The same number gives the same site. Without one: a site nobody had before.
export function site(number) {
  const bytes = number === undefined ? randomBytes(SITE_BYTES) : Buffer.alloc(SITE_BYTES);
  if (number !== undefined) bytes.writeUInt32BE(number, SITE_BYTES - 4);
  bytes[6] = (bytes[6] & 0x0f) | 0x40; // the marks of a random UUID, which is what replicas use
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  return bytes.toString('base64url');
}

export function hlc(wall, counter, siteId, op = 0) {
  const bytes = Buffer.alloc(HLC_BYTES);
  bytes.writeBigUInt64BE(BigInt(wall), 0);
  bytes.writeUInt16BE(counter, 8);
  Buffer.from(siteId, 'base64url').copy(bytes, 10);
  bytes.writeUInt32BE(op, 26);
  return bytes.toString('base64');
}

export function readHlc(text) {
  const bytes = Buffer.from(text, 'base64');
  if (text.length !== 40 || bytes.length !== HLC_BYTES) throw new Error(`not an HLC: ${JSON.stringify(text)}`);
  return {
    wall: Number(bytes.readBigUInt64BE(0)),
    counter: bytes.readUInt16BE(8),
    site: bytes.subarray(10, 26).toString('base64url'),
    op: bytes.readUInt32BE(26),
  };
}

// Base64 does not sort like its bytes, so texts are never compared.
export function compareHlc(a, b) {
  return Buffer.compare(Buffer.from(a, 'base64'), Buffer.from(b, 'base64'));
}

export function highestHlc(texts) {
  let highest;
  for (const text of texts) {
    if (highest === undefined || compareHlc(text, highest) > 0) highest = text;
  }
  return highest;
}

export function transactionIdOf(hlcText) {
  const { wall, counter, site: siteId } = readHlc(hlcText);
  return `${wall}:${counter}:${siteId}`;
}

// A replica's clock, by the tick and receive rules of protocol section 1.
export class Clock {
  constructor(siteId, now = Date.now) {
    this.site = siteId;
    this.now = now;
    this.wall = 0;
    this.counter = 0;
  }

  tick() {
    const now = this.now();
    if (now > this.wall) {
      this.wall = now;
      this.counter = 0;
    } else {
      this.#count();
    }
    return { wall: this.wall, counter: this.counter };
  }

  receive(hlcText) {
    const remote = readHlc(hlcText);
    const now = this.now();
    const wall = Math.max(now, this.wall, remote.wall);
    const equal = [];
    if (wall === this.wall) equal.push(this.counter);
    if (wall === remote.wall) equal.push(remote.counter);
    this.wall = wall;
    if (equal.length === 0) {
      this.counter = 0;
    } else {
      this.counter = Math.max(...equal);
      this.#count();
    }
  }

  #count() {
    if (this.counter === COUNTER_MAX) {
      this.wall += 1;
      this.counter = 0;
    } else {
      this.counter += 1;
    }
  }
}
