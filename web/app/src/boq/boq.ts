// boq.ts -- the bill of quantities as the table needs it: the server's rows, what others change,
// own edits on their way, and what became of them.
//
// Knows no React: useBoq.tsx brings it together with hooks.  Everything it shows is watched by the
// item (items.ts), so somebody's change draws one row anew.
import { type ItemUpdated, Optimistic, type Outcome, type Request } from '@skybuild/realtime-react';
import { type Item, pathOf } from '../lib/api';
import { shown, textOf } from '../lib/decimal';
import { type Edit, type Field, isNumber, Outbox } from '../lib/outbox';
import { itemKey, Items } from './items';

/** An edit that did not go through: somebody was quicker, or the server refused it. */
export interface Trouble {
  itemId: string;
  field: Field;
  mine: string;
  /** The row as it is, when somebody was quicker. */
  theirs: Item | null;
  message: string;
}

/** Whose change a cell shows for a moment; `turn` tells one from the one before. */
export interface Flash {
  by: string;
  turn: number;
}

/** An item as its row shows it.  The same object until something about it changes. */
export interface Row {
  item: Item;
  pending: ReadonlySet<string>;
  flashes: ReadonlyMap<string, Flash>;
  troubles: ReadonlyMap<string, Trouble>;
}

interface Change {
  readonly itemId: string;
  readonly field: Field;
  readonly before: string;
  readonly after: string;
}
/** What is undone at once: one edit, or a whole paste. */
type Step = readonly Change[];

type Created = { item_id: string; item: unknown; updated_by: string };

const FLASH_MS = 800;
const FIELDS: readonly Field[] = ['code', 'description', 'unit', 'qty', 'unit_price', 'section'];
const NONE: ReadonlyMap<string, Flash & Trouble> = new Map();
const NO_FIELD: ReadonlySet<string> = new Set();
const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
const byPlace = (a: Item, b: Item) => compare(a.section, b.section) || compare(a.code, b.code) || compare(a.item_id, b.item_id);

export class Boq {
  readonly items = new Items();
  readonly outbox: Outbox;
  status: 'loading' | 'error' | 'ready' = 'loading';
  /** Reads all items anew; set by who reads them. */
  reload: () => void = () => {};
  /** Tells the person what no cell can tell; set by who draws. */
  notify: (text: string) => void = () => {};

  private readonly known = new Map<string, Item>(); // as the server has them
  private readonly overlay = new Optimistic<Item>({ keyOf: (i) => i.item_id, versionOf: (i) => i.version });
  private readonly rows = new Map<string, Row>();
  private readonly flashes = new Map<string, Map<string, Flash>>();
  private readonly troubles = new Map<string, Map<string, Trouble>>();
  private open: readonly Trouble[] = [];
  private turns = 0;
  private done: Step[] = [];
  private undone: Step[] = [];
  private isRestored = false;

  constructor(private readonly projectId: string, private readonly userId: string, private readonly request: Request, connected: () => Promise<void> | null) {
    this.outbox = new Outbox(`skybuild-outbox ${userId} ${projectId}`, { request, connected, pathOf: (id) => this.path(id) });
  }

  private path(id: string): string {
    return `${pathOf(this.projectId)}/boq/${encodeURIComponent(id)}`;
  }

  // ---- what is shown ---------------------------------------------------------------

  readonly row = (id: string): Row | undefined => {
    const item = this.items.get(id);
    if (!item) return undefined;
    let row = this.rows.get(id);
    if (!row) {
      const pending = this.overlay.isPending(id) ? new Set<string>(FIELDS.filter((f) => this.overlay.isPending(id, f))) : NO_FIELD;
      this.rows.set(id, (row = { item, pending, flashes: this.flashes.get(id) ?? NONE, troubles: this.troubles.get(id) ?? NONE }));
    }
    return row;
  };

  /** Something about that item is another thing now. */
  private touch(id: string): void {
    const known = this.known.get(id);
    this.rows.delete(id);
    const item = known && this.overlay.view(known);
    if (item && item !== this.items.get(id)) this.items.set(item);
    else this.items.tell(itemKey(id));
  }

  // ---- what the server says --------------------------------------------------------

  /** All items, as they are read.  One that is known in that version, or in a later one, stays. */
  load(list: readonly Item[]): void {
    const before = new Map(this.known);
    this.known.clear();
    for (const item of list) {
      const was = before.get(item.item_id);
      this.known.set(item.item_id, was && was.version >= item.version ? was : item);
    }
    this.show();
    this.setStatus('ready');
    this.restore();
  }

  setStatus(status: Boq['status']): void {
    if (status === this.status) return;
    this.status = status;
    this.items.tell('status');
  }

  /** All items as the server has them. */
  newest(): Item[] {
    return [...this.known.values()];
  }

  private show(): void {
    this.rows.clear();
    this.items.replace([...this.known.values()].map((i) => this.overlay.view(i)));
  }

  private put(item: Item): void {
    const was = this.known.get(item.item_id);
    if (!was || was.version >= item.version) return;
    this.known.set(item.item_id, item);
    this.touch(item.item_id);
  }

  private async fetch(id: string): Promise<void> {
    const item = await this.request<Item>('GET', this.path(id)).catch(() => null);
    if (item) this.put(item);
  }

  onUpdated(data: ItemUpdated): void {
    const id = String(data.item_id);
    const row = this.known.get(id);
    if (!row || (data.version !== undefined && data.version <= row.version)) return;
    if (data.updated_by !== this.userId) this.flash(id, Object.keys(data.updates), data.updated_by);
    const next = updated(row, data);
    if (next) this.put(next);
    else void this.fetch(id);
  }

  onCreated(data: Created): void {
    const id = data.item_id;
    if (this.known.has(id)) return;
    const said = data.item as Item;
    const exact = withTexts(said);
    const all = [...this.known.values(), exact ?? said].sort(byPlace);
    this.known.clear();
    for (const item of all) this.known.set(item.item_id, item);
    this.show();
    if (!exact) void this.fetch(id);
    if (data.updated_by !== this.userId) this.flash(id, FIELDS, data.updated_by);
  }

  onDeleted(id: string): void {
    if (!this.known.delete(id)) return;
    this.show();
    const open = [...(this.troubles.get(id)?.values() ?? [])];
    if (open.length === 0) return;
    this.troubles.delete(id);
    this.tellTroubles();
    this.tellGone(open.map(({ field, mine }) => ({ field, value: mine })));
  }

  private flash(id: string, fields: readonly string[], by: string): void {
    const turn = ++this.turns;
    const cells = new Map(this.flashes.get(id));
    for (const f of fields) cells.set(f, { by, turn });
    if (fields.includes('qty') || fields.includes('unit_price')) cells.set('total', { by, turn });
    this.flashes.set(id, cells);
    this.touch(id);
    setTimeout(() => {
      const rest = new Map([...(this.flashes.get(id) ?? [])].filter(([, f]) => f.turn > turn));
      if (rest.size) this.flashes.set(id, rest);
      else this.flashes.delete(id);
      this.touch(id);
    }, FLASH_MS);
  }

  // ---- what we do ------------------------------------------------------------------

  private setTrouble(id: string, field: Field, trouble: Trouble | null): void {
    const all = new Map(this.troubles.get(id));
    if (trouble) all.set(field, trouble);
    else if (!all.delete(field)) return;
    if (all.size) this.troubles.set(id, all);
    else this.troubles.delete(id);
    this.touch(id);
    this.tellTroubles();
  }

  private tellTroubles(): void {
    this.open = [...this.troubles.values()].flatMap((t) => [...t.values()]);
    this.items.tell('troubles');
  }

  /** What did not go through and is not decided yet, the oldest first. */
  readonly openTroubles = (): readonly Trouble[] => this.open;

  private async send(row: Item, edit: Edit, change?: Change): Promise<void> {
    const { itemId, field } = edit;
    const sent = this.overlay.change(row, { [field]: edit.value }, (newest) =>
      this.outbox.send(edit, () => {
        const seen = this.known.get(itemId);
        return seen && seen.version > newest.version ? seen : newest;
      }),
    );
    this.touch(itemId);
    const outcome: Outcome<Item> = await sent;
    const now = outcome.ok ? outcome.row : outcome.theirs;
    if (now) this.put(now);
    this.touch(itemId);
    if (outcome.ok) return;
    if (change) this.forget(change);
    if (outcome.error.status === 404 || !this.known.has(itemId)) this.tellGone([edit]);
    else this.setTrouble(itemId, field, { itemId, field, mine: edit.value, theirs: outcome.theirs, message: outcome.error.message });
  }

  private begin(changes: readonly { itemId: string; field: Field; value: string; was: string | null; change?: Change }[]): void {
    const able = changes.flatMap(({ itemId, field, value, was, change }) => {
      const row = this.known.get(itemId);
      const edit: Edit = { key: crypto.randomUUID(), itemId, field, value, was };
      return row ? [{ row, edit, change }] : [];
    });
    this.outbox.add(...able.map(({ edit }) => edit));
    for (const { row, edit, change } of able) {
      this.setTrouble(edit.itemId, edit.field, null);
      void this.send(row, edit, change);
    }
  }

  // Edits that an earlier page has kept: they show, and go out, when the rows are there.
  private restore(): void {
    if (this.isRestored) return;
    this.isRestored = true;
    void this.outbox.restore().then((kept) => {
      const gone = kept.filter((edit) => !this.known.has(edit.itemId));
      if (gone.length) this.outbox.remove(...gone);
      this.tellGone(gone);
      for (const edit of kept) {
        const row = this.known.get(edit.itemId);
        if (row) void this.send(row, edit);
      }
    });
  }

  // There is no row any more beside which it could be said.
  private tellGone(edits: readonly Pick<Edit, 'field' | 'value'>[]): void {
    const values = edits.map((e) => (isNumber(e.field) ? shown(e.value) : e.value) || '(empty)').join(', ');
    if (edits.length) this.notify(edits.length === 1 ? `1 edit was of an item that is gone: ${values}` : `${edits.length} edits were of items that are gone: ${values}`);
  }

  readonly edit = (item: Item, field: Field, value: string, was?: string): void => this.editAll([{ item, field, value, was }]);

  /** Many at once are one step of undo. */
  readonly editAll = (edits: readonly { item: Item; field: Field; value: string; was?: string | undefined }[]): void => {
    const step = edits.map(({ item, field, value, was = item[field] ?? '' }): Change => ({ itemId: item.item_id, field, before: was, after: value })).filter((c) => c.before !== c.after);
    if (step.length === 0) return;
    this.done.push(step);
    this.undone = [];
    this.go(step);
  };

  /** Local, and as careful as any other edit. */
  readonly undo = (): void => this.step(this.done, this.undone, true);
  readonly redo = (): void => this.step(this.undone, this.done, false);

  private step(from: Step[], to: Step[], isBack: boolean): void {
    const last = from.pop();
    if (!last) return;
    to.push(last);
    this.go(last, isBack);
  }

  private go(step: Step, isBack = false): void {
    this.begin(step.map((change) => (isBack ? { ...change, value: change.before, was: change.after, change } : { ...change, value: change.after, was: change.before, change })));
  }

  /** What was refused has not been done, and there is nothing to undo. */
  private forget(change: Change): void {
    const without = (steps: Step[]) => steps.map((step) => step.filter((c) => c !== change)).filter((step) => step.length > 0);
    [this.done, this.undone] = [without(this.done), without(this.undone)];
  }

  /** After a trouble: that value, or (null) what is there now. */
  readonly settle = (trouble: Trouble, value: string | null): void => {
    const { itemId, field } = trouble;
    this.setTrouble(itemId, field, null);
    const theirs = this.known.get(itemId);
    if (value !== null && theirs) this.begin([{ itemId, field, value, was: theirs[field] }]);
  };
}

/** The row with an event's changes; null when a digit may be missing, or an event between. */
function updated(row: Item, data: ItemUpdated): Item | null {
  if (data.version !== row.version + 1) return null;
  const next = { ...row, version: data.version, updated_by: data.updated_by, updated_at: new Date().toISOString() };
  for (const [field, value] of Object.entries(data.updates)) {
    const isDecimal = field === 'qty' || field === 'unit_price';
    const text = isDecimal && value !== null ? textOf(value) : value;
    if (isDecimal && value !== null && text === null) return null;
    Object.assign(next, { [field]: text });
  }
  return next;
}

function withTexts(item: Item): Item | null {
  const [qty, unit_price] = [item.qty === null ? null : textOf(item.qty), item.unit_price === null ? null : textOf(item.unit_price)];
  return (qty === null && item.qty !== null) || (unit_price === null && item.unit_price !== null) ? null : { ...item, qty, unit_price };
}
