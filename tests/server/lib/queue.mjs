// What came in and was not yet asked for.  next() gives the first entry that
// matches, now or when it comes; entries that do not match stay in the queue.
export const PATIENCE = Number(process.env.TEST_PATIENCE ?? 8000); // ms, longest wait for anything

export class Queue {
  constructor(name = 'queue') {
    this.name = name;
    this.items = [];
    this.waiters = new Set();
    this.ended = null;
  }

  push(item) {
    for (const w of this.waiters)
      if (w.match(item)) {
        this.waiters.delete(w);
        w.resolve(item);
        return;
      }
    this.items.push(item);
  }

  // No more will come: whoever waits, and whoever asks later, gets the reason.
  end(reason) {
    this.ended ??= String(reason);
    for (const w of this.waiters) w.reject(new Error(`${this.name} ended: ${this.ended}; ${this.held()}`));
    this.waiters.clear();
  }

  held() {
    const text = JSON.stringify(this.items.slice(-8), (k, v) => (Buffer.isBuffer(v) ? v.toString('latin1') : v));
    return `unread: ${text?.slice(0, 600)}`;
  }

  next(match = () => true, { timeout = PATIENCE, what = 'the next entry' } = {}) {
    const at = this.items.findIndex(match);
    if (at >= 0) return Promise.resolve(this.items.splice(at, 1)[0]);
    if (this.ended) return Promise.reject(new Error(`${this.name} ended before ${what}: ${this.ended}; ${this.held()}`));
    return new Promise((resolve, reject) => {
      const w = { match };
      const timer = setTimeout(() => {
        this.waiters.delete(w);
        reject(new Error(`${this.name}: ${what} did not come within ${timeout} ms; ${this.held()}`));
      }, timeout);
      w.resolve = (v) => (clearTimeout(timer), resolve(v));
      w.reject = (e) => (clearTimeout(timer), reject(e));
      this.waiters.add(w);
    });
  }

  // What is there now and matches, without waiting.
  peek(match = () => true) {
    return this.items.filter(match);
  }

  clear() {
    this.items.length = 0;
  }
}

export const sleep = (ms) => new Promise((r) => setTimeout(r, ms));

// A promise that must settle in time; the error names what was awaited.
export function within(promise, ms, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not happen within ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// Ask again until it is true; for states that no event announces.
export async function until(test, what, { timeout = PATIENCE, every = 25 } = {}) {
  const end = Date.now() + timeout;
  for (;;) {
    const got = await test();
    if (got) return got;
    if (Date.now() > end) throw new Error(`${what} was not so within ${timeout} ms`);
    await sleep(every);
  }
}
