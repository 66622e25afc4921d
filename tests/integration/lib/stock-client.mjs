// stock-client.mjs -- a scripted client that behaves as protocol section 5 says the stock one does, its habits
// that a server must live with included:
//
// - after every handshake_ack it sends get_changes with its stored watermark, then apply_changes of what it
//   has not had acknowledged, at most BATCH_FACTS facts; otherwise it sends only after a local edit, and
//   never the rest;
// - it applies what it receives unserialised, a few facts a turn, so that a small message overtakes a large
//   one, and each `changes` sets the watermark to its own highest ChangeSet HLC when it is done, without
//   comparing;
// - it drops `changes` and pushes while it boots from a snapshot, cannot apply a table that its migrations say
//   is gone, waits for ever for an answer, never pings, and connects again by itself unless an error is fatal.
//
// A test can slow it down (factsPerTurn), hold it (hold(), release()) and let its store fail on one message
// (failNext()). Its replica survives reconnects, like the stock client's disk; the marks of what was
// acknowledged live in memory, as they do there.
import { EventEmitter } from 'node:events';
import { Clock, compareHlc, highestHlc, hlc } from './ids.mjs';
import { factsOf, watermarkOf } from './facts.mjs';
import { goneTables, Model } from './model.mjs';
import { within } from './wait.mjs';
import { WebSocket } from './ws.mjs';

const BATCH_FACTS = 1000;
const DRIFT_MS_MAX = 60_000;
const MAX_LISTENERS = 100;

export class StockClient extends EventEmitter {
  constructor(server, { db, site, token, now = Date.now, factsPerTurn = 100, batchFacts = BATCH_FACTS } = {}) {
    super();
    this.setMaxListeners(MAX_LISTENERS);
    this.server = server;
    this.db = db;
    this.site = site;
    this.token = token;
    this.now = now;
    this.factsPerTurn = factsPerTurn;
    this.batchFacts = batchFacts;
    this.clock = new Clock(site, now);
    this.replica = new Model();
    this.watermarks = new Map(); // server site -> HLC; on disk in the stock client
    this.sentUpTo = new Map(); // server site -> HLC; in memory, kept over reconnects
    this.unacknowledged = new Map(); // request id -> highest HLC of what it carried
    this.requests = 0;
    this.errors = []; // error messages received
    this.applying = 0; // messages being applied now
    this.failures = 0; // messages to come whose application fails
    this.held = undefined; // a promise that application waits for
    this.boot = undefined; // the snapshot being received
    this.wanted = false; // connected, or to be connected again
  }

  // Resolves at the handshake_ack.
  connect() {
    this.wanted = true;
    const acknowledged = this.#event('ack');
    this.#open();
    return within(acknowledged, `${this.site} to connect`);
  }

  // Leaves for good (until connect()).
  async disconnect() {
    this.wanted = false;
    if (!this.socket) return;
    const gone = this.#event('gone');
    this.socket.close();
    await within(gone, `${this.site} to disconnect`);
  }

  // As if the network broke: the client comes back by itself.
  drop() {
    this.socket?.terminate();
  }

  // One local transaction; like the stock client it then pushes, if it is connected.
  edit(...drafts) {
    const { wall, counter } = this.clock.tick();
    const facts = drafts.flat().map((draft, op) => ({ ...draft, hlc: hlc(wall, counter, this.site, op) }));
    const set = {
      siteId: this.site,
      transactionId: `${wall}:${counter}:${this.site}`,
      hlc: facts.at(-1).hlc,
      changes: facts.filter((fact) => fact.ddl === undefined),
      schemaMigrations: facts.filter((fact) => fact.ddl !== undefined),
    };
    this.replica.apply([set]);
    if (this.serverSite !== undefined && this.boot === undefined) this.#push();
    return set;
  }

  // Asks for a snapshot, as a new device does; resolves when it is in the replica.
  async bootFromSnapshot() {
    const booted = this.#event('booted');
    this.boot = { chunks: [] };
    this.#send({ type: 'get_snapshot' });
    return within(booted, `${this.site} to boot`);
  }

  get watermark() {
    return this.watermarks.get(this.serverSite);
  }

  hasUnsent() {
    return this.replica.transactionsAfter(this.sentUpTo.get(this.serverSite)).length > 0;
  }

  // Nothing is being applied and nothing that was sent waits for its acknowledgement. `quiet` is emitted
  // whenever this may have become true.
  get settled() {
    return this.applying === 0 && this.unacknowledged.size === 0 && this.boot === undefined;
  }

  failNext(count = 1) {
    this.failures += count;
  }

  hold() {
    if (this.held) return;
    let release;
    this.held = new Promise((resolve) => (release = resolve));
    this.held.release = release;
  }

  release() {
    this.held?.release();
    this.held = undefined;
  }

  // Resolves with the first event of that name for which `fits` holds.
  until(name, fits = () => true, what = `${name} at ${this.site}`) {
    let listener;
    const happened = new Promise((resolve) => {
      listener = (value) => fits(value) && resolve(value);
      this.on(name, listener);
    });
    return within(happened, what).finally(() => this.off(name, listener));
  }

  #event(name) {
    return new Promise((resolve) => this.once(name, resolve));
  }

  #open() {
    const socket = new WebSocket(this.server.webSocketUrl); // offers compression, as the stock client does
    this.socket = socket;
    socket.on('open', () => {
      this.#send({ type: 'handshake', databaseId: this.db, siteId: this.site, token: this.token, protocolVersion: 1 });
    });
    socket.on('message', (data) => this.#receive(JSON.parse(data.toString())));
    socket.on('error', (error) => this.emit('trouble', error)); // close follows
    socket.on('close', () => {
      this.socket = undefined;
      this.serverSite = undefined;
      this.unacknowledged.clear();
      this.boot = undefined;
      this.emit('gone');
      if (this.wanted) setImmediate(() => this.wanted && !this.socket && this.#open());
    });
  }

  #send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  #receive(message) {
    this.emit('message', message);
    switch (message.type) {
      case 'handshake_ack':
        this.serverSite = message.serverSiteId;
        this.#ask();
        if (!this.boot) this.#push();
        this.emit('ack', message);
        break;
      case 'changes':
        if (!this.boot) this.#applyLater(message.changeSets, true);
        break;
      case 'push_changes':
        if (!this.boot) this.#applyLater(message.changeSets, false);
        break;
      case 'apply_result':
        this.#acknowledge(message.requestId);
        break;
      case 'request_changes':
        this.#bringBack(message);
        break;
      case 'snapshot_chunk':
        this.boot?.chunks.push(message.chunk);
        break;
      case 'snapshot_complete':
        this.#finishBoot();
        break;
      case 'error':
        this.errors.push(message);
        if (message.fatal) this.wanted = false;
        this.emit('failed', message);
        break;
      default: // unknown types are ignored
    }
  }

  #ask() {
    const sinceHLC = this.watermark;
    this.#send(sinceHLC === undefined ? { type: 'get_changes' } : { type: 'get_changes', sinceHLC });
  }

  #push() {
    const batch = firstFacts(this.replica.transactionsAfter(this.sentUpTo.get(this.serverSite)), this.batchFacts);
    if (batch.length === 0) return;
    const requestId = `${this.site}-${(this.requests += 1)}`;
    this.unacknowledged.set(requestId, watermarkOf(batch));
    this.#send({ type: 'apply_changes', changes: batch, requestId });
  }

  #acknowledge(requestId) {
    const upTo = this.unacknowledged.get(requestId);
    if (upTo === undefined) return;
    this.unacknowledged.delete(requestId);
    this.sentUpTo.set(this.serverSite, highestHlc([upTo, this.sentUpTo.get(this.serverSite) ?? upTo]));
    this.emit('acknowledged', requestId);
    this.emit('quiet');
  }

  #bringBack({ siteId, sinceHLC }) {
    const sets = this.replica.transactionsAfter(sinceHLC).filter((set) => set.siteId !== siteId);
    const batch = firstFacts(sets, this.batchFacts);
    if (batch.length > 0) this.#send({ type: 'apply_changes', changes: batch });
  }

  // Unserialised: nothing here waits for an earlier message. What was begun before a reconnect goes on.
  async #applyLater(sets, movesWatermark) {
    const serverSite = this.serverSite;
    const fails = this.failures > 0 && factsOf(sets).length > 0;
    if (fails) this.failures -= 1;
    this.applying += 1;
    await this.held;
    try {
      for (let i = 0; i < sets.length; i++) {
        if (compareHlc(sets[i].hlc, hlc(this.now() + DRIFT_MS_MAX + 1, 0, this.site)) > 0) return;
      }
      for (const slice of slices(sets, this.factsPerTurn)) {
        await new Promise(setImmediate);
        if (fails) {
          this.emit('store-failed', sets);
          return;
        }
        this.replica.apply([slice]);
      }
      for (const { hlc: seen } of sets) this.clock.receive(seen);
      const watermark = watermarkOf(sets);
      if (movesWatermark && watermark !== undefined) this.watermarks.set(serverSite, watermark);
    } finally {
      this.applying -= 1;
      this.emit('applied', { sets, movesWatermark });
      this.emit('quiet');
    }
  }

  #finishBoot() {
    const { chunks } = this.boot ?? {};
    this.boot = undefined;
    if (!chunks) return;
    const header = chunks.find(({ type }) => type === 'header');
    const migrations = chunks.filter(({ type }) => type === 'schema-migration').map((chunk) => chunk.migration);
    const gone = goneTables(migrations);
    const facts = [];
    for (const chunk of chunks) {
      const { type, schema, table } = chunk;
      if (gone.has(JSON.stringify([schema, table]))) throw new Error(`snapshot of a table that is gone: ${table}`);
      if (type === 'column-versions') {
        facts.push(...chunk.entries.map((entry) => ({ type: 'column', schema, table, ...entry })));
      }
      if (type === 'tombstone') {
        facts.push(...chunk.entries.map(({ createdAt, ...entry }) => ({ type: 'delete', schema, table, ...entry })));
      }
    }
    this.replica.apply([{ changes: facts, schemaMigrations: migrations }]);
    this.clock.receive(header.hlc);
    this.watermarks.set(this.serverSite, header.hlc);
    this.emit('booted', chunks);
  }
}

// Whole transactions of at most `count` facts in all; the first goes whole, whatever its size.
function firstFacts(sets, count) {
  const out = [];
  let facts = 0;
  for (const set of sets) {
    facts += factsOf([set]).length;
    if (out.length > 0 && facts > count) break;
    out.push(set);
  }
  return out;
}

// The sets cut into sets of at most `count` facts.
function* slices(sets, count) {
  for (const set of sets) {
    yield { changes: [], schemaMigrations: set.schemaMigrations };
    for (let i = 0; i < set.changes.length; i += count) {
      yield { changes: set.changes.slice(i, i + count), schemaMigrations: [] };
    }
  }
}
