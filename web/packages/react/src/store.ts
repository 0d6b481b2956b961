// store.ts -- one value that others may watch, and a list of listeners.
//
// Knows neither React nor a network.  A value is replaced, never changed in place, so that
// "is it the same object?" answers "has it changed?".
//
// SPDX-License-Identifier: Apache-2.0

/** Something to call to end what was begun. */
export type Stop = () => void;

export class Store<T> {
  private readonly watchers = new Set<() => void>();
  private value: T;

  constructor(readonly initial: T) {
    this.value = initial;
  }

  readonly get = (): T => this.value;

  readonly subscribe = (watcher: () => void): Stop => {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  };

  set(value: T): void {
    if (Object.is(value, this.value)) return;
    this.value = value;
    callAll(this.watchers);
  }

  /** Replace some members; nothing happens when none of them differs. */
  patch(part: Partial<T>): void {
    const differs = (Object.keys(part) as (keyof T)[]).some((key) => !Object.is(part[key], this.value[key]));
    if (differs) this.set({ ...this.value, ...part });
  }
}

/** Listeners, called in the order of their coming.  One that throws does not keep the others from hearing. */
export class Listeners<A extends unknown[]> {
  private readonly all = new Set<(...args: A) => void>();

  add(listener: (...args: A) => void): Stop {
    this.all.add(listener);
    return () => this.all.delete(listener);
  }

  call(...args: A): void {
    callAll(this.all, ...args);
  }
}

function callAll<A extends unknown[]>(all: Iterable<(...args: A) => void>, ...args: A): void {
  for (const one of [...all]) {
    try {
      one(...args);
    } catch (error) {
      // Told like any error that nobody caught, when the work at hand is done.
      setTimeout(() => {
        throw error;
      });
    }
  }
}

/** Are two values the same, looking one level into arrays and plain objects? */
export function shallowEqual(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || !a || !b || Array.isArray(a) !== Array.isArray(b)) return false;
  const [x, y] = [a as Record<string, unknown>, b as Record<string, unknown>];
  const keys = Object.keys(x);
  return keys.length === Object.keys(y).length && keys.every((key) => Object.hasOwn(y, key) && Object.is(x[key], y[key]));
}

/** Calls of fn at most once in ms, the last one never lost.  `flush` makes the pending call now. */
export function throttle<A extends unknown[]>(fn: (...args: A) => void, ms: number) {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let last = -Infinity;
  let waiting: A | undefined;
  const run = () => {
    timer = undefined;
    if (!waiting) return;
    const args = waiting;
    waiting = undefined;
    last = Date.now();
    fn(...args);
  };
  const call = (...args: A) => {
    waiting = args;
    const wait = last + ms - Date.now();
    if (wait <= 0 && timer === undefined) run();
    else timer ??= setTimeout(run, wait);
  };
  const cancel = () => {
    clearTimeout(timer);
    timer = undefined;
    waiting = undefined;
  };
  const flush = () => {
    clearTimeout(timer);
    run();
  };
  return Object.assign(call, { cancel, flush });
}

const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 10000;
/** How long to wait before the attempt after n failed ones, not the same for all. */
export const retryMs = (n: number) => Math.min(RETRY_MIN_MS * 2 ** n, RETRY_MAX_MS) * (0.75 + Math.random() / 2);
