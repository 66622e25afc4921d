// shared-log.mjs -- reads the shared log out of an object directory, byte by byte as docs/shared-log.md describes it:
// with no code of the server's, so that both are held to the same page.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

const TRAILER = 32; // of a file in an object directory
export const OPENED = 1;
export const CLOSED = 2;
export const OBJECT_DURABLE = 4;

class Bytes {
  constructor(buffer) {
    this.buffer = buffer;
    this.at = 0;
  }

  take(length) {
    assert.ok(this.at + length <= this.buffer.length, 'bytes are missing');
    return this.buffer.subarray(this.at, (this.at += length));
  }

  number(length) {
    return Number(BigInt(`0x${this.take(length).toString('hex')}`));
  }

  short() {
    return this.take(this.number(1)).toString();
  }

  varint() {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = this.number(1);
      value += (byte & 127) * shift;
      if (byte < 128) return value;
    }
  }

  text() {
    return this.take(this.varint()).toString();
  }

  get left() {
    return this.buffer.length - this.at;
  }
}

function crc32c(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

function readFact(bytes) {
  const stamp = bytes.take(14).toString('hex');
  const head = bytes.number(1);
  const type = ['column', 'delete', 'migration'][head & 3];
  const createdAt = type === 'delete' ? bytes.number(8) : undefined;
  const fact = { type, stamp, createdAt, hlc: bytes.take(30).toString('base64'), schema: bytes.text(), table: bytes.text() };
  if (type === 'column') {
    Object.assign(fact, { column: bytes.text(), pk: JSON.parse(bytes.text()), value: JSON.parse(bytes.text()) });
    if (head & 4) Object.assign(fact, { priorHlc: bytes.take(30).toString('base64'), priorValue: JSON.parse(bytes.text()) });
  } else if (type === 'delete') {
    fact.pk = JSON.parse(bytes.text());
    if (head & 4) fact.priorRow = JSON.parse(bytes.text());
  } else {
    const kind = bytes.number(1);
    Object.assign(fact, { kind, fromTable: head & 8 ? bytes.text() : undefined, ddl: JSON.parse(bytes.text()) });
    fact.schemaVersion = JSON.parse(bytes.text());
  }
  assert.equal(bytes.left, 0);
  return fact;
}

export function parseObject(buffer) {
  const bytes = new Bytes(buffer);
  assert.equal(bytes.take(7).toString('latin1'), 'synclog');
  const isSegment = bytes.number(1) === 2;
  const headBytes = bytes.number(4);
  assert.equal(bytes.number(4), crc32c(buffer.subarray(16, headBytes)), 'the head\'s checksum');
  const object = { flags: bytes.number(1), writer: bytes.take(16).toString('hex'), run: bytes.take(8).toString('hex') };
  Object.assign(object, { wallMs: bytes.number(8), partition: bytes.number(4), first: bytes.number(8), last: bytes.number(8) });
  object.host = bytes.short();
  if (isSegment) object.runs = Array.from({ length: bytes.number(4) }, () => ({ run: bytes.take(8).toString('hex'), flags: bytes.number(1) }));
  object.sections = Array.from({ length: bytes.number(4) }, () => {
    const section = { database: bytes.short(), serverSite: bytes.take(16).toString('base64url'), flags: bytes.number(1) };
    Object.assign(section, { wallMs: bytes.number(8), after: bytes.take(14).toString('hex'), last: bytes.take(14).toString('hex') });
    Object.assign(section, { pruned: bytes.take(14).toString('hex'), entries: bytes.number(4), offset: bytes.number(8) });
    return Object.assign(section, { bytes: bytes.number(8), crc: bytes.number(4), run: isSegment ? bytes.number(4) : 0 });
  });
  assert.equal(bytes.at, headBytes);
  for (const section of object.sections) {
    const data = buffer.subarray(headBytes + section.offset, headBytes + section.offset + section.bytes);
    assert.equal(section.crc, crc32c(data), `the checksum of ${section.database}`);
    const entries = new Bytes(data);
    section.facts = [];
    while (entries.left > 0) section.facts.push(readFact(new Bytes(entries.take(entries.varint()))));
    assert.equal(section.facts.length, section.entries);
  }
  return object;
}

// Of a directory that changes meanwhile: what is gone when it is to be read is left out.
function names(directory) {
  try {
    return readdirSync(directory).filter((name) => name.endsWith('=')).sort();
  } catch {
    return [];
  }
}

function read(directory, name) {
  let file;
  try {
    file = readFileSync(path.join(directory, name));
  } catch {
    return undefined;
  }
  return parseObject(file.subarray(0, file.length - TRAILER));
}

// What is left of a partition in an object directory: segments, and the objects that none of them replaces.
export function readLog(objectDir, partition = 0) {
  const at = (kind) => path.join(objectDir, 'objects', kind, String(partition));
  const objects = names(at('log')).map((name) => read(at('log'), name)).filter(Boolean);
  const all = names(at('segment')).map((name) => read(at('segment'), name)).filter(Boolean);
  const holds = (a, b) => a.first <= b.first && b.last <= a.last;
  // Of several generations the last one counts, and the larger of two segments.
  const segments = all.filter((one, i) => !all.some((other, k) => k !== i && holds(other, one) && (k > i || !holds(one, other))));
  const replaced = (one) => segments.some((segment) => holds(segment, one));
  const parts = [...segments, ...objects.filter((one) => !replaced(one))].sort((a, b) => a.first - b.first);
  parts.forEach((part, i) => assert.ok(i === 0 || part.first === parts[i - 1].last + 1, `a gap before ${part.first}`));
  return { objects, segments, parts };
}

// All facts of a database that the log holds, each stamp once.
export function factsInLog(objectDir, database, partition = 0) {
  const facts = [];
  let highest = '';
  for (const part of readLog(objectDir, partition).parts) {
    for (const section of part.sections.filter((one) => one.database === database)) {
      for (const fact of section.facts) {
        if (fact.stamp <= highest) continue;
        highest = fact.stamp;
        facts.push(fact);
      }
    }
  }
  return facts;
}
