// ws.mjs -- finds the `ws` module: one installed beside the tests, or Debian's package node-ws, which a Node
// that did not come from Debian does not look for by itself.
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

function load() {
  for (const name of ['ws', '/usr/share/nodejs/ws']) {
    try {
      return require(name);
    } catch (error) {
      if (error.code !== 'MODULE_NOT_FOUND') throw error;
    }
  }
  throw new Error('the ws module is missing: apt-get install node-ws');
}

export const WebSocket = load();
