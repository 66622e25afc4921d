// client.mjs -- a small client to type into: every line becomes a change, and what others type is shown.
//
//   node docs/examples/client.mjs [DATABASE] [WEBSOCKET_URL] [TOKEN]
//
//   color=blue     writes
//   color=         deletes
//   ?              shows everything this client knows
//
// It keeps nothing on disk: its site id is new each time, and at every connect it asks for what it lacks.
// Needs Node 18 and the ws module (Debian: apt-get install node-ws).
import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import readline from 'node:readline';

const [database = 'notes', url = 'ws://localhost:3000/sync/ws', token] = process.argv.slice(2);
const RECONNECT_MS = 1000;
const require = createRequire(import.meta.url);
const WebSocket = loadWs();

const site = randomBytes(16);
const siteId = site.toString('base64url');
const cells = new Map(); // key -> {hlc, value}
const tombstones = new Map(); // key -> hlc: a deleted row stays deleted, whatever its cells say
const unsent = new Map(); // request id -> ChangeSet, until it is acknowledged
const clock = { wall: 0, counter: 0 };
let watermark; // up to where this client has everything, as the server says
let socket;

function loadWs() {
  try {
    return require('ws');
  } catch {
    return require('/usr/share/nodejs/ws'); // where Debian puts it, for a Node that is not Debian's
  }
}

// The bytes of an HLC order changes: time, counter, site, position within the transaction.
function hlcOf(wall, counter, op) {
  const bytes = Buffer.alloc(30);
  bytes.writeBigUInt64BE(BigInt(wall), 0);
  bytes.writeUInt16BE(counter, 8);
  site.copy(bytes, 10);
  bytes.writeUInt32BE(op, 26);
  return bytes.toString('base64');
}

const compare = (a, b) => Buffer.compare(Buffer.from(a, 'base64'), Buffer.from(b, 'base64'));

function tick() {
  const now = Date.now();
  if (now > clock.wall) Object.assign(clock, { wall: now, counter: 0 });
  else clock.counter += 1;
}

// A clock never falls behind what it has seen.
function receive(hlc) {
  const bytes = Buffer.from(hlc, 'base64');
  const wall = Number(bytes.readBigUInt64BE(0));
  const counter = bytes.readUInt16BE(8);
  if (wall > clock.wall || (wall === clock.wall && counter > clock.counter)) Object.assign(clock, { wall, counter });
}

function apply(sets, show) {
  for (const set of sets) {
    receive(set.hlc);
    for (const fact of set.changes.filter(({ table }) => table === 'notes')) {
      const key = String(fact.pk[0]);
      if (fact.type === 'delete') {
        if (tombstones.has(key) && compare(tombstones.get(key), fact.hlc) >= 0) continue;
        tombstones.set(key, fact.hlc);
        cells.delete(key);
        if (show) console.log(`${key} was deleted`);
      } else if (!tombstones.has(key) && (!cells.has(key) || compare(cells.get(key).hlc, fact.hlc) < 0)) {
        cells.set(key, { hlc: fact.hlc, value: fact.value });
        if (show) console.log(`${key} = ${fact.value}`);
      }
    }
  }
}

function send(message) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

function onMessage(message) {
  switch (message.type) {
    case 'handshake_ack': // at the start, and whenever the server wants to be asked again
      send({ type: 'get_changes', sinceHLC: watermark });
      for (const [requestId, set] of unsent) send({ type: 'apply_changes', changes: [set], requestId });
      break;
    case 'changes':
      apply(message.changeSets, true);
      for (const { hlc } of message.changeSets) {
        if (watermark === undefined || compare(hlc, watermark) > 0) watermark = hlc;
      }
      break;
    case 'push_changes':
      apply(message.changeSets, true);
      break;
    case 'apply_result':
      unsent.delete(message.requestId);
      break;
    case 'error':
      console.log(`the server says ${message.code}: ${message.message}`);
      if (message.fatal) process.exit(1);
      break;
    default: // newer servers may say more
  }
}

function connect() {
  socket = new WebSocket(url);
  socket.on('open', () => {
    console.log(`connected to ${url}, database ${database}`);
    send({ type: 'handshake', databaseId: database, siteId, token, protocolVersion: 1 });
  });
  socket.on('message', (text) => onMessage(JSON.parse(text)));
  socket.on('error', (error) => console.log(`no connection: ${error.message}`));
  socket.on('close', () => setTimeout(connect, RECONNECT_MS));
}

function write(key, value) {
  if (value !== '' && tombstones.has(key)) {
    console.log(`${key} was deleted, and a delete wins: take another key`);
    return;
  }
  tick();
  const { wall, counter } = clock;
  const hlc = hlcOf(wall, counter, 0);
  const row = { schema: 'main', table: 'notes', pk: [key], hlc };
  const change = value === '' ? { type: 'delete', ...row } : { type: 'column', ...row, column: 'text', value };
  const transactionId = `${wall}:${counter}:${siteId}`;
  const set = { siteId, transactionId, hlc, changes: [change], schemaMigrations: [] };
  apply([set], false);
  unsent.set(transactionId, set);
  send({ type: 'apply_changes', changes: [set], requestId: transactionId });
}

connect();
readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const at = line.indexOf('=');
  if (line.trim() === '?') for (const [key, { value }] of cells) console.log(`${key} = ${value}`);
  else if (at > 0) write(line.slice(0, at).trim(), line.slice(at + 1).trim());
  else if (line.trim() !== '') console.log('KEY=VALUE writes, KEY= deletes, ? shows everything');
}).on('close', () => process.exit(0));
