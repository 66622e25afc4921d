// fault-proxy.mjs -- the fault proxy (tests/objects/fault_proxy.h says what a rule is) in front of an S3 server.
import { spawn } from 'node:child_process';
import path from 'node:path';
import { BINARY } from './server.mjs';
import { within } from './wait.mjs';

const PROGRAM = path.join(path.dirname(BINARY), 'fault_proxy');

export class FaultProxy {
  static async start(t, port) {
    const proxy = new FaultProxy(spawn(PROGRAM, ['0', String(port)], { stdio: ['pipe', 'pipe', 'inherit'] }));
    t.after(() => proxy.child.kill('SIGKILL'));
    const [, listens] = /^ready (\d+)$/.exec(await proxy.#line()) ?? [];
    proxy.endpoint = `http://127.0.0.1:${listens}`;
    return proxy;
  }

  constructor(child) {
    this.child = child;
    this.waiting = [];
    this.lines = [];
    this.asked = Promise.resolve();
    let rest = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop();
      for (const line of lines) this.waiting.length > 0 ? this.waiting.shift()(line) : this.lines.push(line);
    });
  }

  // The number of the rule.
  async rule(text) {
    const answer = await this.#ask(`rule ${text}`);
    if (!answer.startsWith('rule ')) throw new Error(`the fault proxy refuses "${text}": ${answer}`);
    return Number(answer.slice(5));
  }

  clear() {
    return this.#ask('clear');
  }

  async hits(rule) {
    return Number((await this.#ask(`hits ${rule}`)).split(' ')[1]);
  }

  // One question after the other.
  #ask(line) {
    this.asked = this.asked.then(() => {
      this.child.stdin.write(`${line}\n`);
      return this.#line();
    });
    return this.asked;
  }

  #line() {
    if (this.lines.length > 0) return Promise.resolve(this.lines.shift());
    return within(new Promise((resolve) => this.waiting.push(resolve)), 'the fault proxy to answer');
  }
}
