// identity.mjs -- row identity of a primary key (protocol section 3): two keys are the same row when their
// texts here are equal.

export function rowIdentity(pk) {
  return JSON.stringify(pk.map(valueIdentity));
}

function valueIdentity(value) {
  if (value === null) return ['null'];
  if (typeof value === 'string') return ['text', wellFormed(value)];
  if (typeof value === 'boolean') return ['number', value ? '1' : '0'];
  if (typeof value === 'number') return ['number', numberText(value)];
  if (!Array.isArray(value)) {
    if (typeof value.__bigint === 'string') return ['number', BigInt(value.__bigint).toString()];
    if (typeof value.__bin === 'string') return ['blob', Buffer.from(value.__bin, 'base64').toString('hex')];
    const bytes = oldBlob(value);
    if (bytes !== undefined) return ['blob', bytes.toString('hex')];
  }
  return ['json', JSON.stringify(sorted(value))];
}

// Whole numbers share their decimal digits with big integers, whatever their size.
function numberText(number) {
  if (Number.isInteger(number)) return BigInt(number).toString();
  return String(number);
}

// {"0":1,"1":2}: bytes, as an older client spelled a blob.
function oldBlob(object) {
  const keys = Object.keys(object);
  if (keys.length === 0) return undefined;
  const isByte = (value) => Number.isInteger(value) && value >= 0 && value <= 255;
  if (!keys.every((key, index) => key === String(index) && isByte(object[key]))) return undefined;
  return Buffer.from(keys.map((key) => object[key]));
}

function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== 'object') return typeof value === 'string' ? wellFormed(value) : value;
  const keys = Object.keys(value).sort();
  return Object.fromEntries(keys.map((key) => [wellFormed(key), sorted(value[key])]));
}

// A lone surrogate counts as U+FFFD.
function wellFormed(text) {
  return Buffer.from(text, 'utf8').toString('utf8');
}
