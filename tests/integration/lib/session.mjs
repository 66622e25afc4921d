// session.mjs -- a WebSocket session driven message by message: the test says what goes out, and takes what
// comes in, in order.
import { WebSocket } from './ws.mjs';
import { within } from './wait.mjs';

const MESSAGES_SHOWN = 12;

export class Session {
  // Opens the socket; with a site, also shakes hands and takes the handshake_ack (kept as .ack).
  static async open(server, { db, site, token, query = '', options } = {}) {
    const session = new Session(new WebSocket(server.webSocketUrl + query, { perMessageDeflate: false, ...options }));
    await within(session.opened, 'the WebSocket to open');
    if (site !== undefined) await session.handshake({ db, site, token });
    return session;
  }

  constructor(socket) {
    this.socket = socket;
    this.inbox = []; // messages not taken yet
    this.history = []; // all messages, with the time of their arrival
    this.waiting = [];
    this.end = undefined;
    socket.on('message', (data, isBinary) => this.#receive(data, isBinary));
    this.opened = new Promise((resolve, reject) => {
      socket.once('open', resolve);
      socket.once('error', reject);
      socket.once('unexpected-response', (request, response) => {
        const error = new Error(`the upgrade was answered with ${response.statusCode}`);
        error.response = response;
        reject(error);
        request.destroy();
      });
    });
    this.opened.catch(() => {}); // whoever awaits it sees the error
    socket.on('error', () => {}); // a close event follows
    this.closed = new Promise((resolve) => {
      socket.on('close', (code, reason) => {
        this.end = { code, reason: reason.toString() };
        for (const { reject } of this.waiting.splice(0)) reject(this.#endError());
        resolve(this.end);
      });
    });
  }

  async handshake({ db, site, token, protocolVersion = 1 }) {
    this.send({ type: 'handshake', databaseId: db, siteId: site, token, protocolVersion });
    const answer = await this.next(['handshake_ack', 'error']);
    if (answer.type !== 'handshake_ack') throw new Error(`handshake: ${JSON.stringify(answer)}`);
    this.ack = answer;
    return answer;
  }

  send(message) {
    this.socket.send(typeof message === 'string' || Buffer.isBuffer(message) ? message : JSON.stringify(message));
  }

  // Takes the first message that fits, now or when it comes. `what`: nothing (any message), a type, a list of
  // types, or a predicate.
  next(what, { ms } = {}) {
    const fits = predicate(what);
    const at = this.inbox.findIndex(fits);
    if (at >= 0) return Promise.resolve(this.inbox.splice(at, 1)[0]);
    if (this.end) return Promise.reject(this.#endError());
    const wait = { fits };
    const arrived = new Promise((resolve, reject) => Object.assign(wait, { resolve, reject }));
    this.waiting.push(wait);
    const dropWait = () => {
      const index = this.waiting.indexOf(wait);
      if (index >= 0) this.waiting.splice(index, 1);
    };
    return within(arrived, () => `a message ${what ?? ''}; arrived: ${this.#shown()}`, ms).finally(dropWait);
  }

  request(message, what, options) {
    this.send(message);
    return this.next(what, options);
  }

  async apply(changes, requestId = 'r') {
    const answer = await this.request({ type: 'apply_changes', changes, requestId }, ['apply_result', 'error']);
    if (answer.type === 'error') throw new Error(`apply_changes: ${JSON.stringify(answer)}`);
    return answer;
  }

  changes(sinceHLC) {
    const message = sinceHLC === undefined ? { type: 'get_changes' } : { type: 'get_changes', sinceHLC };
    return this.request(message, 'changes');
  }

  // Everything that the server sent before it answered this is in the inbox afterwards.
  async barrier() {
    await this.request({ type: 'ping' }, 'pong');
  }

  // The types waiting in the inbox.
  get types() {
    return this.inbox.map((message) => message.type);
  }

  // The chunks of a snapshot, up to snapshot_complete.
  async chunks(message = { type: 'get_snapshot' }) {
    const out = [];
    this.send(message);
    for (;;) {
      const answer = await this.next(['snapshot_chunk', 'snapshot_complete', 'error']);
      if (answer.type === 'error') throw new Error(`${message.type}: ${JSON.stringify(answer)}`);
      if (answer.type === 'snapshot_complete') return out;
      out.push(answer.chunk);
    }
  }

  // Stops reading from the socket, so that what the server sends piles up there.
  pause() {
    this.socket.pause();
  }

  resume() {
    this.socket.resume();
  }

  async close() {
    this.socket.close();
    return within(this.closed, 'the session to close');
  }

  // As if the network had gone.
  async terminate() {
    this.socket.terminate();
    return within(this.closed, 'the session to end');
  }

  #receive(data, isBinary) {
    const message = isBinary ? { type: '(binary frame)', data } : JSON.parse(data.toString());
    this.history.push({ at: Date.now(), message });
    const index = this.waiting.findIndex(({ fits }) => fits(message));
    if (index >= 0) this.waiting.splice(index, 1)[0].resolve(message);
    else this.inbox.push(message);
  }

  #shown() {
    const last = this.history.slice(-MESSAGES_SHOWN).map(({ message }) => JSON.stringify(message).slice(0, 160));
    return `${this.history.length} in all, the last: ${last.join(' ')}`;
  }

  #endError() {
    return new Error(`the session has ended (${JSON.stringify(this.end)}); arrived: ${this.#shown()}`);
  }
}

function predicate(what) {
  if (what === undefined) return () => true;
  if (typeof what === 'function') return what;
  const types = [what].flat();
  return (message) => types.includes(message.type);
}
