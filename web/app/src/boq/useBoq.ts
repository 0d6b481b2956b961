// useBoq.ts -- the bill of quantities as the table needs it: the server's rows, live changes of
// others, own edits on their way, and what became of them.
import { type ItemUpdated, type OptimisticRows, type Outcome, useConnection, useEvent, useOptimistic, useRequest } from '@skybuild/realtime-react';
import { useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from 'react';
import { type Item, pathOf } from '../lib/api';
import { textOf } from '../lib/decimal';
import { type Edit, type Field, Outbox } from '../lib/outbox';
import { useLiveList } from '../parts/useLists';

/** An edit that did not go through: somebody was quicker, or the server refused it. */
export interface Trouble {
  itemId: string;
  field: Field;
  mine: string;
  /** The row as it is, when somebody was quicker. */
  theirs: Item | null;
  message: string;
}

/** Whose change a cell shows for a moment. */
export interface Flash {
  by: string;
  at: number;
}

export const cellKey = (itemId: string, field: string) => `${itemId} ${field}`;

interface Step {
  itemId: string;
  field: Field;
  before: string;
  after: string;
}

export interface Boq {
  status: 'loading' | 'error' | 'ready';
  items: readonly Item[];
  isPending: OptimisticRows<Item>['isPending'];
  edits: readonly Edit[];
  troubles: ReadonlyMap<string, Trouble>;
  flashes: ReadonlyMap<string, Flash>;
  edit(item: Item, field: Field, value: string, was?: string): void;
  settle(trouble: Trouble, value: string | null): void;
  undo(): void;
  redo(): void;
  reload(): Promise<void>;
}

const FLASH_MS = 800;
const keys = { keyOf: (i: Item) => i.item_id, versionOf: (i: Item) => i.version };
const byPlace = (a: Item, b: Item) => compare(a.section, b.section) || compare(a.code, b.code) || compare(a.item_id, b.item_id);
const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
const NONE: readonly Item[] = [];

export function useBoq(projectId: string, userId: string): Boq {
  const request = useRequest();
  const list = useLiveList<Item>('boq', projectId);
  const { put, reload, peek } = list;
  const { rows: items, change, isPending } = useOptimistic<Item>(list.rows ?? NONE, keys);
  const rowOf = useCallback((id: string) => peek().find((i) => i.item_id === id), [peek]);

  // ---- what others do ----
  const [flashes, setFlashes] = useState<ReadonlyMap<string, Flash>>(new Map());
  const flash = useCallback((cells: string[], by: string) => {
    const at = Date.now();
    setFlashes((old) => new Map([...[...old].filter(([, f]) => at - f.at < FLASH_MS), ...cells.map((c): [string, Flash] => [c, { by, at }])]));
  }, []);
  const fetchOne = useCallback(
    async (id: string) => {
      const item = await request<Item>('GET', `${pathOf(projectId)}/boq/${encodeURIComponent(id)}`).catch(() => null);
      if (item) put((old) => old.map((i) => (i.item_id === id && item.version >= i.version ? item : i)));
    },
    [projectId, put, request],
  );
  useEvent('boq:item:updated', (data) => {
    const id = String(data.item_id);
    const row = rowOf(id);
    if (!row || (data.version !== undefined && data.version <= row.version)) return;
    if (data.updated_by !== userId) flash(Object.keys(data.updates).map((f) => cellKey(id, f)), data.updated_by);
    const next = updated(row, data);
    if (next) put((old) => old.map((i) => (i.item_id === id ? next : i)));
    else void fetchOne(id);
  });
  useEvent('boq:item:created', (data) => {
    const exact = withTexts(data.item as unknown as Item);
    put((old) => (old.some((i) => i.item_id === data.item_id) ? [...old] : [...old, exact ?? (data.item as unknown as Item)].sort(byPlace)));
    if (!exact) void fetchOne(data.item_id);
    if (data.updated_by !== userId) flash(['code', 'description', 'unit', 'qty', 'unit_price'].map((f) => cellKey(data.item_id, f)), data.updated_by);
  });
  useEvent('boq:item:deleted', (data) => put((old) => old.filter((i) => i.item_id !== data.item_id)));
  useEvent('boq:bulk:updated', () => void reload());

  // ---- what we do ----
  const { status } = useConnection();
  const live = useRef({ isConnected: false, waiting: [] as (() => void)[] });
  useEffect(() => {
    live.current.isConnected = status === 'connected';
    if (status === 'connected') for (const go of live.current.waiting.splice(0)) go();
  }, [status]);
  const outbox = useMemo(
    () =>
      new Outbox(`skybuild-outbox ${userId} ${projectId}`, {
        request,
        connected: () => (live.current.isConnected ? Promise.resolve() : new Promise((resolve) => live.current.waiting.push(resolve))),
        pathOf: (id) => `${pathOf(projectId)}/boq/${encodeURIComponent(id)}`,
      }),
    [projectId, request, userId],
  );
  const edits = useSyncExternalStore(outbox.subscribe, outbox.list);

  const [troubles, setTroubles] = useState<ReadonlyMap<string, Trouble>>(new Map());
  const setTrouble = useCallback((key: string, trouble: Trouble | null) => {
    setTroubles((old) => {
      const next = new Map(old);
      if (trouble) next.set(key, trouble);
      else next.delete(key);
      return next;
    });
  }, []);

  const send = useCallback(
    async (row: Item, edit: Edit) => {
      const outcome: Outcome<Item> = await change(row, { [edit.field]: edit.value }, (newest) =>
        outbox.send(edit, () => {
          const seen = rowOf(edit.itemId);
          return seen && seen.version > newest.version ? seen : newest;
        }),
      );
      if (outcome.ok) {
        put((old) => old.map((i) => (i.item_id === outcome.row.item_id && outcome.row.version > i.version ? outcome.row : i)));
        return true;
      }
      const { theirs } = outcome;
      if (theirs) put((old) => old.map((i) => (i.item_id === theirs.item_id && theirs.version > i.version ? theirs : i)));
      setTrouble(cellKey(edit.itemId, edit.field), { itemId: edit.itemId, field: edit.field, mine: edit.value, theirs, message: outcome.error.message });
      return false;
    },
    [change, outbox, put, rowOf, setTrouble],
  );

  const begin = useCallback(
    (itemId: string, field: Field, value: string, was: string | null) => {
      const row = rowOf(itemId);
      if (!row) return;
      setTrouble(cellKey(itemId, field), null);
      const edit: Edit = { key: crypto.randomUUID(), itemId, field, value, was };
      outbox.add(edit);
      void send(row, edit);
    },
    [outbox, rowOf, send, setTrouble],
  );

  // Edits that an earlier page has kept: they show, and go out, when the rows are there.
  const isReady = list.rows !== null;
  const restored = useRef<Outbox | null>(null);
  useEffect(() => {
    if (!isReady || restored.current === outbox) return;
    restored.current = outbox;
    void outbox.restore().then((kept) => {
      for (const edit of kept) {
        const row = rowOf(edit.itemId);
        if (row) void send(row, edit);
      }
    });
  }, [isReady, outbox, rowOf, send]);

  // ---- undo: local, and as careful as any other edit ----
  const [done, undone] = [useRef<Step[]>([]), useRef<Step[]>([])];
  const edit = useCallback<Boq['edit']>(
    (item, field, value, was = item[field] ?? '') => {
      if (value === was) return;
      done.current.push({ itemId: item.item_id, field, before: was, after: value });
      undone.current = [];
      begin(item.item_id, field, value, was);
    },
    [begin, done, undone],
  );
  const step = useCallback(
    (from: typeof done, to: typeof done, isBack: boolean) => {
      const last = from.current.pop();
      if (!last) return;
      to.current.push(last);
      if (isBack) begin(last.itemId, last.field, last.before, last.after);
      else begin(last.itemId, last.field, last.after, last.before);
    },
    [begin],
  );
  const undo = useCallback(() => step(done, undone, true), [done, step, undone]);
  const redo = useCallback(() => step(undone, done, false), [done, step, undone]);

  const settle = useCallback<Boq['settle']>(
    (trouble, value) => {
      setTrouble(cellKey(trouble.itemId, trouble.field), null);
      const theirs = rowOf(trouble.itemId);
      if (value !== null && theirs) begin(trouble.itemId, trouble.field, value, theirs[trouble.field]);
    },
    [begin, rowOf, setTrouble],
  );

  return { status: list.isError ? 'error' : isReady ? 'ready' : 'loading', items, isPending, edits, troubles, flashes, edit, settle, undo, redo, reload };
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
