// s3.mjs -- a real S3 server (tests/s3-server) for a test file, and ways to get between it and a server.
import { execFileSync, spawn } from 'node:child_process';
import { createHash, createHmac } from 'node:crypto';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { temporaryDirectory } from './server.mjs';
import { within } from './wait.mjs';

const S3_SERVER = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../s3-server');
const START_MS = 300_000; // it may have to install its packages

export async function freePort() {
  const server = net.createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');
const encode = (text) => encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

// Puts an object as any other program would, signed (SigV4) with code of its own.
async function put(port, values, key, bytes) {
  const pathname = `/${[values.S3_BUCKET, ...key.split('/')].map(encode).join('/')}`;
  const date = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
  const headers = { host: `127.0.0.1:${port}`, 'x-amz-content-sha256': sha256(bytes), 'x-amz-date': date };
  const names = Object.keys(headers).join(';');
  const lines = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`).join('');
  const canonical = ['PUT', pathname, '', lines, names, headers['x-amz-content-sha256']].join('\n');
  const scope = [date.slice(0, 8), values.S3_REGION, 's3', 'aws4_request'];
  const signingKey = scope.reduce((secret, part) => createHmac('sha256', secret).update(part).digest(), `AWS4${values.S3_SECRET_KEY}`);
  const toSign = ['AWS4-HMAC-SHA256', date, scope.join('/'), sha256(canonical)].join('\n');
  const signature = createHmac('sha256', signingKey).update(toSign).digest('hex');
  headers.authorization = `AWS4-HMAC-SHA256 Credential=${values.S3_ACCESS_KEY}/${scope.join('/')}, SignedHeaders=${names}, Signature=${signature}`;
  const [status, text] = await new Promise((resolve, reject) => {
    const req = http.request({ port, host: '127.0.0.1', method: 'PUT', path: pathname, headers: { ...headers, 'content-length': bytes.length } }, (answer) => {
      let body = '';
      answer.setEncoding('utf8').on('data', (piece) => (body += piece)).on('end', () => resolve([answer.statusCode, body]));
    });
    req.on('error', reject).end(bytes);
  });
  if (status !== 200) throw new Error(`PUT ${pathname}: ${status} ${text}`);
}

// {port, settings(endpoint?), put(key, bytes)}: settings are those of a sync server that keeps its objects there, each
// call under a key prefix of its own; put() knows of no prefix.
export async function startS3(t) {
  const directory = temporaryDirectory();
  const port = await freePort();
  const env = { ...process.env, S3_SERVER_BUCKET: 'sync-tests', S3_SERVER_STORE: 'memstore' };
  t.after(() => execFileSync(S3_SERVER, ['stop', directory], { stdio: 'ignore' }));
  const child = spawn(S3_SERVER, ['start', directory, String(port)], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let told = '';
  child.stdout.setEncoding('utf8').on('data', (text) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (told += text));
  const code = await within(new Promise((resolve) => child.on('exit', resolve)), () => `the S3 server to start:\n${told}`, START_MS);
  if (code !== 0) throw new Error(`the S3 server did not start:\n${told}`);
  const values = Object.fromEntries(out.trim().split('\n').map((line) => line.split('=')));
  let prefixes = 0;
  return {
    port,
    settings: (endpoint = `http://127.0.0.1:${port}`) => ({
      's3.bucket': values.S3_BUCKET,
      's3.region': values.S3_REGION,
      's3.endpoint': endpoint,
      's3.accessKeyId': values.S3_ACCESS_KEY,
      's3.secretAccessKey': values.S3_SECRET_KEY,
      's3.forcePathStyle': true,
    }),
    prefix: () => ({ 's3.keyPrefix': `test-${++prefixes}/` }),
    put: (key, bytes) => put(port, values, key, Buffer.from(bytes)),
  };
}

// Forwards connections to a port of 127.0.0.1, until it is told otherwise:
//   pass     forwards
//   silent   takes connections and bytes, forwards nothing and answers nothing, as a network that is cut
//   errors   answers every request with 503
export class Relay {
  constructor(port) {
    this.port = port;
    this.mode = 'pass';
    this.sockets = new Set();
    this.server = net.createServer((socket) => this.#connected(socket));
  }

  static async start(t, port, host = '127.0.0.1') {
    const relay = new Relay(port);
    await new Promise((resolve, reject) => relay.server.on('error', reject).listen(0, host, resolve));
    relay.host = host;
    t.after(() => relay.close());
    return relay;
  }

  get endpoint() {
    return `http://${this.host}:${this.server.address().port}`;
  }

  // Connections that are there go on silent, or end.
  set(mode) {
    this.mode = mode;
    for (const socket of this.sockets) mode === 'silent' ? socket.pause() : socket.destroy();
  }

  close() {
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
  }

  #keep(socket) {
    this.sockets.add(socket);
    socket.on('close', () => this.sockets.delete(socket)).on('error', () => socket.destroy());
    return socket;
  }

  #connected(socket) {
    this.#keep(socket);
    if (this.mode === 'silent') {
      socket.pause();
    } else if (this.mode === 'errors') {
      socket.once('data', () => socket.end('HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'));
    } else {
      const far = this.#keep(net.connect(this.port, '127.0.0.1'));
      socket.pipe(far).pipe(socket);
      socket.on('close', () => far.destroy());
      far.on('close', () => socket.destroy());
    }
  }
}

// Forwards requests, but answers those for keys with `text` in them as S3 does where rights are missing. The endpoint.
export async function denyingProxy(t, port, text) {
  const body = '<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>';
  const proxy = http.createServer((req, res) => {
    if (decodeURIComponent(req.url).includes(text)) {
      req.resume();
      res.writeHead(403, { 'content-type': 'application/xml' }).end(body);
      return;
    }
    const far = http.request({ port, host: '127.0.0.1', method: req.method, path: req.url, headers: req.headers }, (answer) => {
      res.writeHead(answer.statusCode, answer.headers);
      answer.pipe(res);
    });
    far.on('error', () => res.destroy());
    req.pipe(far);
  });
  await new Promise((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    proxy.closeAllConnections();
    proxy.close();
  });
  return `http://127.0.0.1:${proxy.address().port}`;
}

// A network of its own for one server, with a cable to this one: undefined where that is not possible (no root, no
// network namespaces). `through` starts a program in it; cut() and mend() do to the cable what they say.
export function networkNamespace(t) {
  const name = `sync-${process.pid}`;
  const [near, far] = [`sn${process.pid % 100000}`, `sf${process.pid % 100000}`];
  const third = process.pid % 250;
  const ip = (...args) => execFileSync('ip', args, { stdio: 'ignore' });
  const remove = () => {
    try {
      ip('netns', 'del', name);
    } catch { /* it was not made */ }
  };
  try {
    ip('netns', 'add', name);
    t.after(remove);
    ip('link', 'add', near, 'type', 'veth', 'peer', 'name', far);
    ip('link', 'set', far, 'netns', name);
    ip('addr', 'add', `10.231.${third}.1/30`, 'dev', near);
    ip('link', 'set', near, 'up');
    ip('-n', name, 'addr', 'add', `10.231.${third}.2/30`, 'dev', far);
    ip('-n', name, 'link', 'set', far, 'up');
    ip('-n', name, 'link', 'set', 'lo', 'up');
  } catch {
    remove();
    return undefined;
  }
  return {
    host: `10.231.${third}.1`,
    through: ['ip', 'netns', 'exec', name],
    cut: () => ip('link', 'set', near, 'down'),
    mend: () => ip('link', 'set', near, 'up'),
  };
}
