// names.mjs -- a database of its own for every test, so that tests can share one server.

let count = 0;

export function freshDatabase(hint = 'db') {
  count += 1;
  return `${hint}-${count}`;
}
