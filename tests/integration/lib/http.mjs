// http.mjs -- an HTTP client that hides nothing: the path goes out as it is written, every header can be set,
// and the answer keeps its status, headers and raw body.
import http from 'node:http';
import https from 'node:https';
import { factSets, watermarkOf } from './facts.mjs';
import { within } from './wait.mjs';
import { compareHlc } from './ids.mjs';

const PAGES_MAX = 10_000;

const keepAlive = new http.Agent({ keepAlive: true, maxSockets: 64 });
// Of whom a certificate is, the tests that are about it say themselves.
const keepAliveSecure = new https.Agent({ keepAlive: true, maxSockets: 64, rejectUnauthorized: false });

export class Answer {
  constructor(status, headers, body, method) {
    this.status = status;
    this.headers = headers;
    this.body = body;
    this.method = method;
  }

  get text() {
    return this.body.toString('utf8');
  }

  get json() {
    return JSON.parse(this.text);
  }
}

// Node sends the body of a DELETE without saying how long it is, so that its bytes begin the next request of the
// connection, as RFC 9112 section 6.3 has it. Every body here says where it ends, unless the caller frames it.
function framed(headers, body) {
  const names = Object.keys(headers).map((name) => name.toLowerCase());
  if (body === undefined || names.includes('content-length') || names.includes('transfer-encoding')) return headers;
  return { ...headers, 'content-length': Buffer.byteLength(body) };
}

// url is the origin and base path; `path` is appended without any encoding.
export function request(url, { method = 'GET', path = '', headers = {}, body, agent, ms } = {}) {
  const { protocol, hostname, port, pathname } = new URL(url);
  const module = protocol === 'https:' ? https : http;
  const answered = new Promise((resolve, reject) => {
    const options = { hostname, port, method, path: pathname + path, headers: framed(headers, body),
      agent: agent ?? (module === https ? keepAliveSecure : keepAlive) };
    const req = module.request(options, (res) => {
      const parts = [];
      res.on('data', (part) => parts.push(part));
      res.on('end', () => resolve(new Answer(res.statusCode, res.headers, Buffer.concat(parts), method)));
      res.on('error', reject);
    });
    req.on('error', reject);
    req.end(body);
  });
  return within(answered, `an answer to ${method} ${path}`, ms);
}

// A client of one site.
export class HttpClient {
  constructor(server, siteId, { token, headers = {} } = {}) {
    this.server = server;
    this.site = siteId;
    this.headers = { 'x-site-id': siteId, ...headers };
    if (token !== undefined) this.headers.authorization = `Bearer ${token}`;
  }

  request(method, path, { headers = {}, body, ms } = {}) {
    return request(this.server.base, { method, path, headers: { ...this.headers, ...headers }, body, ms });
  }

  get(path, headers) {
    return this.request('GET', path, { headers });
  }

  // One POST of ChangeSets. `body` may be given as text, for what JSON.stringify() would not write.
  post(db, changes, { headers = {}, body } = {}) {
    return this.request('POST', `/${db}/changes`, {
      headers: { 'content-type': 'application/json', ...headers },
      body: body ?? JSON.stringify({ changes }),
    });
  }

  // A POST that must be accepted: the result.
  async apply(db, ...changes) {
    const answer = await this.post(db, changes.flat());
    if (answer.status !== 200) throw new Error(`POST /${db}/changes: ${answer.status} ${answer.text.slice(0, 500)}`);
    return answer.json.data;
  }

  // One GET of changes: {changes, hasMore?}.
  async delta(db, since, { wait, ms } = {}) {
    const query = new URLSearchParams();
    if (since !== undefined) query.set('sinceHLC', since);
    if (wait !== undefined) query.set('wait', String(wait));
    const answer = await this.request('GET', `/${db}/changes?${query}`, { ms });
    if (answer.status !== 200) throw new Error(`GET /${db}/changes: ${answer.status} ${answer.text.slice(0, 500)}`);
    return answer.json.data;
  }

  // Every page after `since`, as a client reads them: {sets: those with facts, watermark, pages}.
  async readAll(db, since) {
    const sets = [];
    let watermark = since;
    for (let pages = 1; pages <= PAGES_MAX; pages++) {
      const { changes, hasMore } = await this.delta(db, watermark);
      sets.push(...factSets(changes));
      const next = watermarkOf(changes);
      if (next !== undefined) {
        if (watermark !== undefined && compareHlc(next, watermark) < 0) throw new Error('the watermark went back');
        watermark = next;
      }
      if (!hasMore) return { sets, watermark, pages };
      if (next === undefined) throw new Error('hasMore without a watermark');
    }
    throw new Error(`more than ${PAGES_MAX} pages`);
  }

  // The snapshot's chunks.
  async snapshot(db) {
    const answer = await this.get(`/${db}/snapshot`);
    if (answer.status !== 200) throw new Error(`GET /${db}/snapshot: ${answer.status} ${answer.text.slice(0, 500)}`);
    return chunksOf(answer.text);
  }
}

export function chunksOf(text) {
  if (!text.endsWith('\n')) throw new Error('the snapshot does not end with a line end');
  return text.slice(0, -1).split('\n').map((line) => JSON.parse(line));
}
