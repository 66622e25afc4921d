// histories.mjs -- the recorded histories (tests/data): what was sent, and what the reference server answered.
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

const FILE = new URL('../../data/histories.jsonl.gz', import.meta.url);

export function readHistories() {
  const text = gunzipSync(readFileSync(FILE)).toString('utf8');
  return text.trimEnd().split('\n').map((line) => JSON.parse(line));
}
