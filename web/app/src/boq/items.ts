// items.ts -- the items of a bill, each watched by itself.
//
// Knows rows, sections, sums and who watches what; no network, no React.  A change of one item
// costs that item, the sum of its section and the grand total, however many others there are:
// only what comes, goes, or changes its section lays the sections out anew.
import type { Item } from '../lib/api';
import { totalOf } from '../lib/decimal';

export interface Section {
  readonly name: string;
  readonly ids: readonly string[];
}
export interface Order {
  /** In the order in which their first items stand. */
  readonly sections: readonly Section[];
  readonly count: number;
}

/** What can be watched beside items and sections: which there are and where, any sum, any text, whether they are read, what did not go through. */
const TOPICS = ['order', 'sums', 'texts', 'status', 'troubles'] as const;
export type Topic = (typeof TOPICS)[number];
export const itemKey = (id: string) => `item ${id}`;
export const sectionKey = (name: string) => `section ${name}`;

const EMPTY: Order = { sections: [], count: 0 };

export class Items {
  private rows = new Map<string, Item>();
  private sums = new Map<string, bigint>();
  private grand = 0n;
  private laidOut: Order = EMPTY;
  private readonly watchers = new Map<string, Set<() => void>>();
  private readonly counts = new Map<string, number>(TOPICS.map((t) => [t, 0]));

  readonly get = (id: string): Item | undefined => this.rows.get(id);
  readonly order = (): Order => this.laidOut;
  readonly sumOf = (section: string): bigint => this.sums.get(section) ?? 0n;
  readonly total = (): bigint => this.grand;
  /** How often that topic was told: another number is another state. */
  readonly revision = (topic: Topic): number => this.counts.get(topic)!;
  all(): Item[] {
    return [...this.rows.values()];
  }

  watch(key: string, watcher: () => void): () => void {
    let all = this.watchers.get(key);
    if (!all) this.watchers.set(key, (all = new Set()));
    all.add(watcher);
    return () => {
      all.delete(watcher);
      if (all.size === 0 && this.watchers.get(key) === all) this.watchers.delete(key);
    };
  }

  tell(key: string): void {
    const count = this.counts.get(key);
    if (count !== undefined) this.counts.set(key, count + 1);
    const all = this.watchers.get(key);
    if (all) for (const watcher of [...all]) watcher();
  }

  /** All of them, in this order.  One that is the same object as before tells nobody. */
  replace(items: readonly Item[]): void {
    const before = this.rows;
    this.rows = new Map(items.map((i) => [i.item_id, i]));
    this.layOut();
    for (const [id, item] of this.rows) if (before.get(id) !== item) this.tell(itemKey(id));
    this.tell('texts');
  }

  /** One that is there already, as it is now. */
  set(item: Item): void {
    const was = this.rows.get(item.item_id);
    if (!was || was === item) return;
    this.rows.set(item.item_id, item);
    if (was.section !== item.section) this.layOut();
    else {
      const more = totalOf(item) - totalOf(was);
      if (more !== 0n) this.add(item.section, more);
    }
    this.tell(itemKey(item.item_id));
    if (was.code !== item.code || was.description !== item.description || was.unit !== item.unit) this.tell('texts');
  }

  private add(section: string, more: bigint): void {
    this.sums.set(section, this.sumOf(section) + more);
    this.grand += more;
    this.tell(sectionKey(section));
    this.tell('sums');
  }

  private layOut(): void {
    const ids = new Map<string, string[]>();
    const sums = new Map<string, bigint>();
    let grand = 0n;
    for (const item of this.rows.values()) {
      const total = totalOf(item);
      const of = ids.get(item.section);
      if (of) of.push(item.item_id);
      else ids.set(item.section, [item.item_id]);
      sums.set(item.section, (sums.get(item.section) ?? 0n) + total);
      grand += total;
    }
    const before = new Map(this.laidOut.sections.map((s) => [s.name, s]));
    const sections = [...ids].map(([name, of]): Section => {
      const was = before.get(name);
      return was && was.ids.length === of.length && was.ids.every((id, i) => id === of[i]) ? was : { name, ids: of };
    });
    const told = [...sums].filter(([name, sum]) => this.sums.get(name) !== sum || !before.has(name));
    [this.sums, this.grand] = [sums, grand];
    const isSame = sections.length === this.laidOut.sections.length && sections.every((s, i) => s === this.laidOut.sections[i]);
    if (!isSame) {
      this.laidOut = { sections, count: this.rows.size };
      this.tell('order');
    }
    for (const [name] of told) this.tell(sectionKey(name));
    this.tell('sums');
  }
}
