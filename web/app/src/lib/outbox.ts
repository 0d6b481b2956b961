// outbox.ts -- edits of items on their way to the server, kept until they are there.
//
// Each edit is written to IndexedDB before it is sent and taken out when the server has
// answered, so neither a lost network nor a closed tab loses one.  They go in order, one at a
// time, each with an idempotency key: sent twice is done once.  An edit knows what the value was
// when it was typed: if somebody changed just that meanwhile it is a conflict, for a person to
// decide; if they changed something else of the row, it goes through.
//
// What is kept is one list for all windows of a user: each changes its own edits in it.
import { RealtimeError, type Request } from '@skybuild/realtime-react';
import { get, update } from 'idb-keyval';
import { isLater, type Item, RETRY_MS } from './api';
import { sameNumber } from './decimal';

export type Field = 'code' | 'description' | 'unit' | 'qty' | 'unit_price' | 'section';
export const isNumber = (field: Field) => field === 'qty' || field === 'unit_price';

export interface Edit {
  key: string;
  itemId: string;
  field: Field;
  value: string;
  /** What it was when it was typed. */
  was: string | null;
}

export interface OutboxHooks {
  request: Request;
  /** Resolves when there is a connection, never for a page that has ended; null: there is one now. */
  connected(): Promise<void> | null;
  pathOf(itemId: string): string;
}

const VERSIONS_MAX = 20; // an item that changes at each attempt is given up after so many

export class Outbox {
  private edits: readonly Edit[] = [];
  private tail: Promise<unknown> | null = null;
  private readonly watchers = new Set<() => void>();

  constructor(private readonly store: string, private readonly hooks: OutboxHooks) {}

  readonly list = (): readonly Edit[] => this.edits;
  readonly subscribe = (watcher: () => void) => {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  };

  /** What an earlier page, or another window, has left. */
  async restore(): Promise<readonly Edit[]> {
    const ours = new Set(this.edits.map((e) => e.key));
    const kept = ((await get<Edit[]>(this.store).catch(() => undefined)) ?? []).filter((e) => !ours.has(e.key));
    this.set([...kept, ...this.edits]);
    return kept;
  }

  /** All of them in one write: a paste is many. */
  add(...more: Edit[]): void {
    this.keep((edits) => [...edits, ...more]);
  }

  remove(...gone: readonly Edit[]): void {
    const keys = new Set(gone.map((e) => e.key));
    this.keep((edits) => edits.filter((e) => !keys.has(e.key)));
  }

  /** Here and in what is kept, where there may be others'. */
  private keep(make: (edits: readonly Edit[]) => readonly Edit[]): void {
    void update<readonly Edit[]>(this.store, (kept = []) => make(kept)).catch(() => {}); // a private window may have no store: then the page keeps them
    this.set(make(this.edits));
  }

  private set(edits: readonly Edit[]): void {
    this.edits = edits;
    // A little later, so that an edit is on its way before the page is drawn anew.
    queueMicrotask(() => {
      for (const watcher of this.watchers) watcher();
    });
  }

  /** Send an edit that was added, when its turn comes.  Gives the row, or throws the refusal. */
  send(edit: Edit, newest: () => Item): Promise<Item> {
    const done = this.tail ? this.tail.then(() => this.attempt(edit, newest)) : this.attempt(edit, newest);
    const tail = done.then(() => {}, () => {}).then(() => {
      if (this.tail === tail) this.tail = null;
    });
    this.tail = tail;
    return done.finally(() => this.remove(edit));
  }

  private async attempt(edit: Edit, newest: () => Item): Promise<Item> {
    const connected = this.hooks.connected();
    if (connected) await connected;
    let row = newest();
    for (let n = 0; n < VERSIONS_MAX; n++) {
      if (isSame(edit.field, row[edit.field], edit.value)) return row;
      if (!isSame(edit.field, row[edit.field], edit.was)) throw conflict(row);
      try {
        return await this.patch(edit, row.version);
      } catch (error) {
        await this.hooks.connected(); // a refusal that nobody would see: the next page gets it again
        const current = error instanceof RealtimeError && error.code === 'conflict' ? (error.current as Item | undefined) : undefined;
        if (!current) throw error;
        row = current;
      }
    }
    throw conflict(row);
  }

  private async patch(edit: Edit, version: number): Promise<Item> {
    for (;;) {
      const connected = this.hooks.connected();
      if (connected) await connected;
      try {
        // The key belongs to one request: with another version it is another.
        return await this.hooks.request<Item>('PATCH', this.hooks.pathOf(edit.itemId), { [edit.field]: edit.value, version }, { idempotencyKey: `${edit.key}-${version}` });
      } catch (error) {
        if (!isLater(error)) throw error;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }
}

const isSame = (field: Field, a: string | null, b: string | null) => (isNumber(field) ? sameNumber(a || null, b || null) : (a ?? '') === (b ?? ''));
const conflict = (row: Item) => new RealtimeError('Somebody else changed this meanwhile', 'conflict', { status: 409, current: row });
