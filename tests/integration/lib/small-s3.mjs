// small-s3.mjs -- an S3 service in memory, small enough to be made to lie about conditional writes:
//
//   honest    If-None-Match and If-Match hold
//   ignored   they are not looked at
//   racing    they are looked at and then, when others have looked as well, everybody writes
//   overflowing    they hold, but lists have more keys than were asked for
//
// Just what the server asks of it: no signatures are checked, no uploads in parts, lists have one page.
import { createHash } from 'node:crypto';
import http from 'node:http';

const LOOK_MS = 300; // how long a racing one waits for others
const escape = (text) => text.replace(/[&<>]/g, (c) => `&#${c.charCodeAt(0)};`);

export class SmallS3 {
  #objects = new Map(); // key -> {bytes, etag, modified}
  #looking = new Map(); // key -> those who wait for others
  #server = http.createServer((req, res) => this.#answer(req, res));

  constructor(conditions) {
    this.conditions = conditions;
  }

  static async start(t, conditions) {
    const s3 = new SmallS3(conditions);
    await new Promise((resolve) => s3.#server.listen(0, '127.0.0.1', resolve));
    t.after(() => {
      s3.#server.closeAllConnections();
      s3.#server.close();
    });
    return s3;
  }

  // Settings of a sync server that keeps its objects here.
  settings() {
    return {
      's3.bucket': 'small', 's3.endpoint': `http://127.0.0.1:${this.#server.address().port}`, 's3.forcePathStyle': true,
      's3.accessKeyId': 'any', 's3.secretAccessKey': 'any',
    };
  }

  async #answer(req, res) {
    const chunks = [];
    for await (const chunk of req) chunks.push(chunk);
    const url = new URL(req.url, 'http://small');
    const key = decodeURIComponent(url.pathname).replace(/^\/small\/?/, '');
    if (req.method === 'PUT') return this.#put(req, res, key, Buffer.concat(chunks));
    if (req.method === 'DELETE') return this.#delete(res, key);
    if (key === '') return this.#list(res, url.searchParams.get('prefix') ?? '', Number(url.searchParams.get('max-keys') ?? 1000));
    return this.#get(req, res, key);
  }

  #error(res, status, code) {
    res.writeHead(status, { 'content-type': 'application/xml' }).end(`<?xml version="1.0"?><Error><Code>${code}</Code></Error>`);
  }

  #admits(req, key) {
    const there = this.#objects.get(key);
    const match = req.headers['if-match'];
    if (this.conditions === 'ignored') return true;
    if (req.headers['if-none-match'] !== undefined && there !== undefined) return false;
    return match === undefined || there?.etag === match.replaceAll('"', '');
  }

  async #put(req, res, key, bytes) {
    if (!this.#admits(req, key)) return this.#error(res, 412, 'PreconditionFailed');
    const conditional = req.headers['if-none-match'] !== undefined || req.headers['if-match'] !== undefined;
    if (this.conditions === 'racing' && conditional) await this.#waitForOthers(key);
    const etag = createHash('md5').update(bytes).digest('hex');
    this.#objects.set(key, { bytes, etag, modified: new Date() });
    res.writeHead(200, { etag: `"${etag}"` }).end();
  }

  // Until another one has looked, too, or a while is over.
  #waitForOthers(key) {
    const waiting = this.#looking.get(key) ?? [];
    this.#looking.set(key, waiting);
    return new Promise((resolve) => {
      waiting.push(resolve);
      if (waiting.length > 1) for (const go of waiting.splice(0)) go();
      setTimeout(() => resolve(), LOOK_MS);
    });
  }

  #delete(res, key) {
    this.#objects.delete(key);
    res.writeHead(204).end();
  }

  #get(req, res, key) {
    const there = this.#objects.get(key);
    if (there === undefined) return this.#error(res, 404, 'NoSuchKey');
    const headers = { etag: `"${there.etag}"`, 'last-modified': there.modified.toUTCString() };
    const range = /^bytes=(\d+)-(\d*)$/.exec(req.headers.range ?? '');
    let { bytes } = there;
    if (range) {
      const from = Number(range[1]);
      const to = range[2] === '' ? bytes.length : Math.min(bytes.length, Number(range[2]) + 1);
      headers['content-range'] = `bytes ${from}-${to - 1}/${bytes.length}`;
      bytes = bytes.subarray(from, to);
    }
    res.writeHead(range ? 206 : 200, { ...headers, 'content-length': bytes.length }).end(req.method === 'HEAD' ? undefined : bytes);
  }

  // One page; one with too many keys where max-keys is not looked at either.
  #list(res, prefix, max) {
    const count = this.conditions === 'overflowing' ? 1000 : max;
    const keys = [...this.#objects.keys()].filter((key) => key.startsWith(prefix)).sort().slice(0, count);
    const entries = keys.map((key) => {
      const { bytes, etag, modified } = this.#objects.get(key);
      return `<Contents><Key>${escape(key)}</Key><LastModified>${modified.toISOString()}</LastModified>`
        + `<ETag>&quot;${etag}&quot;</ETag><Size>${bytes.length}</Size></Contents>`;
    });
    const xml = `<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated>${entries.join('')}</ListBucketResult>`;
    res.writeHead(200, { 'content-type': 'application/xml' }).end(xml);
  }
}
