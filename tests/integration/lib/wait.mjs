// wait.mjs -- waiting for something that must happen, with a limit that only a failure reaches.
//
// A slow build (sanitizers, valgrind) multiplies every limit by SYNC_TEST_PATIENCE.

export const PATIENCE = Number(process.env.SYNC_TEST_PATIENCE ?? 1);
export const WITHIN_MS = 10_000;

// The promise's value, or an error that names what did not happen.
export function within(promise, what, ms = WITHIN_MS) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${ms * PATIENCE} ms: ${describe(what)}`)), ms * PATIENCE);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// Asks again and again until the answer is truthy, and returns it. Each question must itself go through an
// event (a request, a file read): there is no pause in between.
export async function until(ask, what, ms = WITHIN_MS) {
  const end = Date.now() + ms * PATIENCE;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`not within ${ms * PATIENCE} ms: ${describe(what)}`);
    await new Promise(setImmediate);
  }
}

function describe(what) {
  return typeof what === 'function' ? what() : what;
}
