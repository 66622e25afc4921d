// An exchange that waits must not cost processor time, whatever its client sends or ends meanwhile.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { test } from 'node:test';
import { request } from './lib/http.mjs';
import { startServer } from './lib/server.mjs';
import { within } from './lib/wait.mjs';

const SITE = 'A'.repeat(22);
const WAIT_S = 2;

const POLL = `GET /sync/db1/changes?wait=${WAIT_S} HTTP/1.1\r\nhost: x\r\nx-site-id: ${SITE}\r\n\r\n`;

const HEALTH = 'GET /sync/healthz HTTP/1.1\r\nhost: x\r\n\r\n';

function post(path = '/db1/changes') {
  const body = '{"changes":[]}';
  return `POST /sync${path} HTTP/1.1\r\nhost: x\r\nx-site-id: ${SITE}\r\ncontent-type: application/json\r\n`
    + `content-length: ${body.length}\r\n\r\n${body}`;
}

function processorMs(server) {
  const fields = readFileSync(`/proc/${server.pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

// Sends `text`, reads until the answers number `count`.
function answers(server, text, count, { halfClose = false } = {}) {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ port: server.port, host: '127.0.0.1', allowHalfOpen: true });
    let got = '';
    socket.on('error', reject);
    socket.on('connect', () => (halfClose ? socket.end(text) : socket.write(text)));
    socket.on('data', (data) => {
      got += data;
      if (got.split('HTTP/1.1 ').length - 1 < count) return;
      socket.destroy();
      resolve(got);
    });
    socket.on('end', () => reject(new Error(`the connection ended after: ${got}`)));
  });
}

test('a long poll whose client has ended its side costs no processor time, and is answered', async (t) => {
  const server = await startServer(t);
  const before = processorMs(server);
  const got = await within(answers(server, POLL, 1, { halfClose: true }), 'the answer');
  const used = processorMs(server) - before;
  assert.match(got, /"changes":\[\]/);
  assert.ok(used < (WAIT_S * 1000) / 4, `${used} ms of processor time in ${WAIT_S} s`);
});

test('a request behind a long poll waits for it, costs no processor time, and is answered', async (t) => {
  const server = await startServer(t);
  const before = processorMs(server);
  const got = await within(answers(server, POLL + HEALTH + HEALTH, 3), 'three answers');
  const used = processorMs(server) - before;
  assert.match(got, /"changes":\[\].*"alive":true.*"alive":true/s);
  assert.ok(used < (WAIT_S * 1000) / 4, `${used} ms of processor time in ${WAIT_S} s`);
});

test('a request that comes in one piece behind a body is answered', async (t) => {
  const server = await startServer(t);
  const got = await within(answers(server, post() + HEALTH, 2), 'two answers');
  assert.match(got, /"applied":0.*"alive":true/s);
});

test('a body behind another request in one piece does not stop the loop', async (t) => {
  const server = await startServer(t, { settings: { threads: 1 } });
  for (const text of [HEALTH + post() + HEALTH, post() + post() + HEALTH, HEALTH + post('/nowhere') + HEALTH]) {
    const socket = net.connect(server.port, '127.0.0.1');
    socket.on('error', () => {}); // being cut off is an answer too
    const ended = new Promise((resolve) => socket.on('close', resolve));
    socket.resume();
    socket.end(text);
    await within(ended, 'the connection to end');
    assert.equal((await request(server.base, { path: '/healthz' })).status, 200);
  }
});
