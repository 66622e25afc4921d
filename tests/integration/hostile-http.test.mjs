// Requests that two readers could take apart in two ways, and heads that are no heads: each is refused or read in
// one way, the bytes of a refused body are never a request, and others are served meanwhile.
import test from 'node:test';
import assert from 'node:assert/strict';
import { Honest, Raw, head, residentBytes } from './lib/raw.mjs';
import { request } from './lib/http.mjs';
import { startServer } from './lib/server.mjs';
import { site } from './lib/ids.mjs';
import { PATIENCE } from './lib/wait.mjs';

// Whoever answers this has taken a body for a request: only its answer says so.
const HIDDEN = 'GET /sync/healthz HTTP/1.1\r\nHost: x\r\n\r\n';
const TAKEN = /"alive":true/;
const POST = ['POST /sync/db/changes HTTP/1.1', 'Host: x', 'Content-Type: application/json', `X-Site-Id: ${site(1)}`];
const BODY = '{"changes":[]}';
const CHUNKED = `${BODY.length.toString(16)}\r\n${BODY}\r\n0\r\n\r\n`;

const server = await startServer(test);
const honest = new Honest(server);

async function send(...parts) {
  const raw = await Raw.open(server);
  for (const part of parts) await raw.write(part);
  return raw;
}

// What libwebsockets itself refuses it ends without an answer, or with its own 4xx.
const refused = (raw) => raw.statuses.length <= 1 && (raw.statuses[0] ?? 400) >= 400;

const AMBIGUOUS = [
  ['Content-Length and Transfer-Encoding', ['Content-Length: 4', 'Transfer-Encoding: chunked'], CHUNKED + HIDDEN],
  ['Transfer-Encoding and Content-Length', ['Transfer-Encoding: chunked', `Content-Length: ${CHUNKED.length}`], CHUNKED + HIDDEN],
  ['two different lengths', ['Content-Length: 14', 'Content-Length: 2'], BODY + HIDDEN],
  ['two equal lengths', ['Content-Length: 14', 'Content-Length: 14'], BODY + HIDDEN],
  ['a list of lengths', ['Content-Length: 14, 14'], BODY + HIDDEN],
  ['a length with a sign', ['Content-Length: +14'], BODY + HIDDEN],
  ['a negative length', ['Content-Length: -14'], BODY + HIDDEN],
  ['a length in hexadecimal', ['Content-Length: 0xe'], BODY + HIDDEN],
  ['a length of many digits', ['Content-Length: 184467440737095516300014'], BODY + HIDDEN],
  ['a length with a blank inside', ['Content-Length: 1 4'], BODY + HIDDEN],
  ['an unknown coding', ['Transfer-Encoding: xchunked'], CHUNKED + HIDDEN],
  ['chunked that is not last', ['Transfer-Encoding: chunked, identity'], CHUNKED + HIDDEN],
  ['chunked twice', ['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'], CHUNKED + HIDDEN],
  ['a coding before chunked', ['Transfer-Encoding: gzip, chunked'], CHUNKED + HIDDEN],
  ['a quoted coding', ['Transfer-Encoding: "chunked"'], CHUNKED + HIDDEN],
  ['a chunk size that is none', ['Transfer-Encoding: chunked'], `g\r\n${BODY}\r\n0\r\n\r\n${HIDDEN}`],
  ['a negative chunk size', ['Transfer-Encoding: chunked'], `-e\r\n${BODY}\r\n0\r\n\r\n${HIDDEN}`],
  ['a chunk size that overflows', ['Transfer-Encoding: chunked'], `fffffffffffffffff\r\n${BODY}\r\n0\r\n\r\n${HIDDEN}`],
  ['a chunk that is longer than it says', ['Transfer-Encoding: chunked'], `2\r\n${BODY}\r\n0\r\n\r\n${HIDDEN}`],
];

// Read in one way, and then the connection ends, so that what stands behind it is nobody's.
const READ = [
  ['chunk lines that end with a bare line feed', `e\n${BODY}\n0\n\n${HIDDEN}`],
  ['chunk extensions', `e;a="\r";b\r\n${BODY}\r\n0;c\r\n\r\n${HIDDEN}`],
  ['trailers', `e\r\n${BODY}\r\n0\r\nContent-Length: 40\r\n\r\n${HIDDEN}`],
  ['a request right behind the last chunk', `${CHUNKED}${HIDDEN}`],
];

for (const [name, body] of READ) {
  test(`a body in chunks ends its connection, whatever follows: ${name}`, async () => {
    const raw = await send(head(POST, 'Transfer-Encoding: chunked') + body);
    await raw.end(name);
    assert.equal(raw.statuses.length, 1, raw.text);
    assert.ok([200, 400].includes(raw.statuses[0]), raw.text);
    assert.doesNotMatch(raw.text, TAKEN);
    await honest.round();
  });
}

for (const [name, headers, body] of AMBIGUOUS) {
  test(`a body whose end is in doubt is refused and its bytes are no request: ${name}`, async () => {
    for (const late of [false, true]) {
      const start = head(POST, headers);
      const raw = late ? await send(start) : await send(start + body);
      if (late) {
        await Promise.race([raw.until((text) => text.includes('\r\n\r\n'), 'an answer'), honest.round()]);
        await raw.write(body);
      }
      await raw.end(name);
      assert.ok(refused(raw), `${name}: ${raw.text}`);
      assert.doesNotMatch(raw.text, TAKEN, name);
    }
    await honest.round();
  });
}

const REFUSED = [
  ['no site id', ['POST /sync/db/changes HTTP/1.1', 'Host: x', 'Content-Type: application/json']],
  ['a bad database id', ['POST /sync/a%20b/changes HTTP/1.1', 'Host: x', `X-Site-Id: ${site(1)}`, 'Content-Type: application/json']],
  ['a route that is none', ['POST /sync/none HTTP/1.1', 'Host: x', 'Content-Type: application/json']],
  ['a method that the route has not', ['POST /sync/status HTTP/1.1', 'Host: x', 'Content-Type: application/json']],
  ['another type', ['POST /sync/db/changes HTTP/1.1', 'Host: x', `X-Site-Id: ${site(1)}`, 'Content-Type: text/plain']],
  ['an unknown encoding', [...POST, 'Content-Encoding: br']],
  ['too long a body', POST, 40 << 20],
  ['a PUT', ['PUT /sync/db/changes HTTP/1.1', 'Host: x', `X-Site-Id: ${site(1)}`]],
  ['a DELETE', ['DELETE /sync/db/changes HTTP/1.1', 'Host: x', `X-Site-Id: ${site(1)}`]],
  ['a GET with a body', ['GET /sync/status HTTP/1.1', 'Host: x']],
  ['a HEAD with a body', ['HEAD /sync/status HTTP/1.1', 'Host: x']],
  ['a preflight with a body', ['OPTIONS /sync/db/changes HTTP/1.1', 'Host: x', 'Origin: http://x']],
];

for (const [name, lines, length] of REFUSED) {
  test(`the body of a request that is refused, or needs none, is never read as a request: ${name}`, async () => {
    const size = length ?? HIDDEN.length;
    for (const pieces of [[HIDDEN], [HIDDEN.slice(0, 1), HIDDEN.slice(1)], ['', HIDDEN]]) {
      const start = head(lines, `Content-Length: ${size}`);
      const raw = await send(start + pieces[0]);
      if (pieces.length > 1) {
        await raw.until((text) => text.includes('\r\n\r\n'), 'an answer');
        await raw.write(pieces[1]);
      }
      // A question behind it: its answer, or the end, shows that everything before it was dealt with. Of a body
      // that is longer than what was sent it is a part.
      await raw.write('GET /sync/none-such HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
      const answers = size > HIDDEN.length ? 1 : 2;
      await raw.until((text) => (text.match(/HTTP\/1\.1 /g) ?? []).length >= answers, `${name}: an end`);
      assert.doesNotMatch(raw.text, TAKEN, `${name}: ${raw.text}`);
      raw.destroy();
    }
    await honest.round();
  });
}

const ODD_HEADS = [
  ['no head at all', '\0\0\0\0\0\0\r\n\r\n'],
  ['a TLS greeting', Buffer.from('16030100c8010000c40303', 'hex')],
  ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['HTTP/0.9', 'GET /sync/status\r\n\r\n'],
  ['an unknown version', head('GET /sync/status HTTP/9.9', 'Host: x')],
  ['CONNECT', head('CONNECT x:80 HTTP/1.1', 'Host: x')],
  ['TRACE', head('TRACE /sync/status HTTP/1.1', 'Host: x')],
  ['OPTIONS of everything', head('OPTIONS * HTTP/1.1', 'Host: x')],
  ['an absolute target', head('GET http://other/sync/status HTTP/1.1', 'Host: x')],
  ['a zero byte in the target', head('GET /sync/sta\0tus HTTP/1.1', 'Host: x')],
  ['a zero byte in a header', head('GET /sync/status HTTP/1.1', 'Host: x', 'A: b\0c')],
  ['a blank before the colon', head('GET /sync/db/changes HTTP/1.1', 'Host: x', `X-Site-Id : ${site(1)}`)],
  ['a header that is folded', head('GET /sync/status HTTP/1.1', 'Host: x', 'A: b', ' Transfer-Encoding: chunked')],
  ['a header without a name', head('GET /sync/status HTTP/1.1', 'Host: x', ': value')],
  ['a header without a colon', head('GET /sync/status HTTP/1.1', 'Host: x', 'nonsense')],
  ['bare line feeds', 'GET /sync/status HTTP/1.1\nHost: x\n\n'],
  ['bare carriage returns', 'GET /sync/status HTTP/1.1\rHost: x\r\r'],
  ['blanks before the request', '\r\n\r\n  GET /sync/status HTTP/1.1\r\n\r\n'],
];

test('heads that are no heads end, or are answered once, and harm nobody', async () => {
  const open = [];
  for (const [name, bytes] of ODD_HEADS) {
    const raw = await send(bytes);
    raw.socket.end(); // whoever waits for more gets none
    open.push([name, raw]);
    await honest.round();
  }
  for (const [name, raw] of open) {
    await raw.end(name);
    assert.ok(raw.statuses.length <= 1, `${name}: ${raw.text}`);
    assert.ok(raw.statuses.every((status) => status !== 500), `${name}: ${raw.text}`);
  }
});

test('a head without end is given up, and costs no more than its limit', async () => {
  const before = residentBytes(server);
  const floods = await Promise.all(Array.from({ length: 10 }, () => send('GET /sync/status HTTP/1.1\r\n')));
  await Promise.all(floods.map(async (raw, n) => {
    const line = n % 2 === 0 ? `X-${n}: ${'y'.repeat(1000)}\r\n` : `${'z'.repeat(2000)}`;
    for (let i = 0; i < 60 && !raw.isClosed; i++) await raw.write(line);
    raw.socket.end();
  }));
  await honest.round();
  await Promise.all(floods.map((raw) => raw.end('a flood of headers to be cut off')));
  for (const raw of floods) assert.ok(refused(raw), raw.text);
  if (PATIENCE === 1) assert.ok(residentBytes(server) - before < 32 << 20, 'memory stays bounded');
});

test('path tricks reach no file and no other database', async () => {
  const tricks = ['/sync/../../etc/passwd', '/sync/..%2f..%2fetc%2fpasswd/changes', '/sync/%2e%2e/%2e%2e/changes',
    '/sync/a%00b/changes', '/sync/a%0d%0aX:1/changes', '/sync/a/b/changes', '/sync/a%2fb/changes', '/sync/a\\b/changes',
    '/sync/%c0%ae%c0%ae/changes', '/sync/%/changes', '/sync/%zz/changes', '//sync//db//changes', '/sync/db;x/changes',
    `/sync/${'a'.repeat(256)}/changes`, `/sync/${'a'.repeat(3000)}/changes`, '/sync/.../../changes', '/sync/lost-1/../db/changes'];
  const reached = new Set();
  for (const trick of tricks) {
    const raw = await send(head(`GET ${trick} HTTP/1.1`, 'Host: x', `X-Site-Id: ${site(1)}`, 'Connection: close'));
    await raw.end(trick);
    assert.ok(raw.statuses.length <= 1, trick);
    assert.doesNotMatch(raw.text, /root:|X:1\r\n/, trick);
    if (raw.statuses[0] === 200) reached.add(trick);
  }
  // Dots and slashes are resolved before the routes are looked at; what is left is a plain name.
  for (const trick of reached) assert.match(trick, /^\/\/sync|\/\.\.\/(db|changes)|%2e%2e|\.\.\.\//, trick);
  const { databases } = (await request(server.base, { path: '/status' })).json.data;
  assert.equal(databases, 1, 'reading makes no database');
});
