// errors.mjs -- what every refusal must look like.
import assert from 'node:assert/strict';

// HTTP: the status, and the body {"ok":false,"error":{"code","message"}}. `code`: a text, or several of which
// one must be there.
export function assertRefused(answer, status, code) {
  assert.equal(answer.status, status, answer.text.slice(0, 300));
  assert.match(answer.headers['content-type'] ?? '', /^application\/json\b/);
  const { ok, error, ...more } = answer.json;
  assert.equal(ok, false);
  assert.deepEqual(more, {});
  assert.deepEqual(Object.keys(error).sort(), ['code', 'message']);
  assert.equal(typeof error.message, 'string');
  assert.notEqual(error.message, '');
  if (code !== undefined) assert.ok([code].flat().includes(error.code), `${error.code}: ${error.message}`);
  return error;
}

// WebSocket: {type: error, code, message, fatal}.
export function assertError(message, code, { fatal = false } = {}) {
  const { type, code: got, message: text, fatal: isFatal, ...more } = message;
  assert.equal(type, 'error', JSON.stringify(message));
  assert.ok([code].flat().includes(got), `${got}: ${text}`);
  assert.equal(isFatal, fatal, JSON.stringify(message));
  assert.equal(typeof text, 'string');
  assert.notEqual(text, '');
  assert.deepEqual(more, {});
  return text;
}
