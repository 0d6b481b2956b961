// optimistic.ts -- rows as they will be once the server has agreed.
//
// A change shows at once, lying over the row that is known.  The server's answer takes its
// place; a refusal takes it away, and with 409 the caller is handed both sides.  Changes of one
// row are sent one after the other, each on top of the answer before.  Knows no network: how a
// change is sent is the caller's, and may take as long as it takes (an outbox, say).
//
// SPDX-License-Identifier: Apache-2.0
import { isConflict, RealtimeError } from './error.js';
import { Store } from './store.js';

export type Outcome<Row> =
  | { ok: true; row: Row }
  /** `theirs`: the row as it is, when somebody was quicker (409). */
  | { ok: false; error: RealtimeError; mine: Partial<Row>; theirs: Row | null };

export interface OptimisticOptions<Row> {
  keyOf(row: Row): string;
  /** Of two copies of a row the one with the greater version is the newer. */
  versionOf(row: Row): number;
}

interface Layer<Row> {
  patch: Partial<Row>;
}

export class Optimistic<Row extends object> {
  /** Goes up with everything that changes what view() gives. */
  readonly revision = new Store(0);
  private readonly layers = new Map<string, Layer<Row>[]>();
  private readonly answered = new Map<string, Row>(); // newer than the caller's rows, for a while
  private readonly queues = new Map<string, Promise<unknown>>();
  private readonly merged = new WeakMap<Row, { layers: readonly Layer<Row>[]; answer: Row | undefined; row: Row }>();

  constructor(private readonly options: OptimisticOptions<Row>) {}

  /**
   * Show patch over that row now and send it.  `send` gets the newest copy of the row (for its
   * version) and gives the server's answer.  Never rejects.
   */
  change(base: Row, patch: Partial<Row>, send: (newest: Row) => Promise<Row>): Promise<Outcome<Row>> {
    const key = this.options.keyOf(base);
    const layer = { patch };
    this.layers.set(key, [...(this.layers.get(key) ?? []), layer]);
    const before = this.queues.get(key);
    // Alone it is sent at once, before anything is drawn.
    const done = before ? before.then(() => this.settle(key, base, layer, send)) : this.settle(key, base, layer, send);
    this.queues.set(key, done);
    void done.then(() => this.queues.get(key) === done && this.queues.delete(key));
    this.tell();
    return done;
  }

  private async settle(key: string, base: Row, layer: Layer<Row>, send: (newest: Row) => Promise<Row>): Promise<Outcome<Row>> {
    let outcome: Outcome<Row>;
    try {
      const row = await send(this.newest(base));
      this.answered.set(key, this.newer(row, this.answered.get(key)));
      outcome = { ok: true, row };
    } catch (cause) {
      const error = cause instanceof RealtimeError ? cause : new RealtimeError(String(cause), 'unreachable');
      const theirs = isConflict(error) && error.current ? (error.current as Row) : null;
      if (theirs) this.answered.set(key, this.newer(theirs, this.answered.get(key)));
      outcome = { ok: false, error, mine: layer.patch, theirs };
    }
    const rest = (this.layers.get(key) ?? []).filter((l) => l !== layer);
    if (rest.length) this.layers.set(key, rest);
    else this.layers.delete(key);
    this.tell();
    return outcome;
  }

  private newer(a: Row, b: Row | undefined): Row {
    return b && this.options.versionOf(b) > this.options.versionOf(a) ? b : a;
  }

  /** The newest copy that is known, without what is not confirmed. */
  newest(row: Row): Row {
    return this.newer(row, this.answered.get(this.options.keyOf(row)));
  }

  /** The row as it shall be shown; the same object as long as nothing about it has changed. */
  view(row: Row): Row {
    const key = this.options.keyOf(row);
    const layers = this.layers.get(key);
    let answer = this.answered.get(key);
    if (answer && this.options.versionOf(row) >= this.options.versionOf(answer)) {
      this.answered.delete(key); // the caller's rows have caught up
      answer = undefined;
    }
    if (!layers) return answer ?? row;
    const made = this.merged.get(row);
    if (made && made.layers === layers && made.answer === answer) return made.row;
    const merged = Object.assign({}, answer ?? row, ...layers.map((l) => l.patch)) as Row;
    this.merged.set(row, { layers, answer, row: merged });
    return merged;
  }

  /** Is something about that row not confirmed?  With `member`: about that member of it. */
  isPending(key: string, member?: keyof Row): boolean {
    const layers = this.layers.get(key);
    return !!layers && (member === undefined || layers.some((l) => member in l.patch));
  }

  private tell(): void {
    this.revision.set(this.revision.get() + 1);
  }
}
