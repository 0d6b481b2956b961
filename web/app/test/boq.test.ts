// The bill as its page has it: own edits, what became of them, and what is said about them.
import { RealtimeError } from '@skybuild/realtime-react';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { Boq } from '../src/boq/boq';
import type { Item } from '../src/lib/api';

const { disk, writes } = vi.hoisted(() => ({ disk: new Map<string, unknown>(), writes: [] as string[] }));
vi.mock('idb-keyval', () => ({
  get: async (key: string) => structuredClone(disk.get(key)),
  update: async (key: string, make: (old: unknown) => unknown) => (writes.push(key), void disk.set(key, structuredClone(make(structuredClone(disk.get(key)))))),
}));
const STORE = 'skybuild-outbox anna p';

const item = (n: number, more: Partial<Item> = {}): Item => ({ item_id: `i-${n}`, code: `${n}`, description: '', unit: 'm', qty: '1', unit_price: '2', section: '', version: 1, updated_at: '', updated_by: 'ben', ...more });
const settle = () => vi.advanceTimersByTimeAsync(0);

type Body = Record<string, unknown> & { version: number };
/** A page with items, whose server takes each edit if the test does not say otherwise. */
function make(list: Item[], answer: (id: string, body: Body) => unknown = () => null) {
  const rows = new Map(list.map((i) => [i.item_id, i]));
  const said: string[] = [];
  const request = async (_method: string, path: string, body: Body) => {
    const id = path.split('/').at(-1)!;
    const got = answer(id, body);
    if (got instanceof Error) throw got;
    const row = { ...rows.get(id)!, ...body, version: body.version + 1 };
    rows.set(id, row);
    return row;
  };
  const boq = new Boq('p', 'anna', request as never, () => null);
  boq.notify = (text) => said.push(text);
  boq.load(list);
  return { boq, said };
}

beforeEach(() => {
  disk.clear();
  vi.useFakeTimers();
});

describe('an edit of an item that is gone', () => {
  it('is told and taken out when it was kept', async () => {
    const edit = (key: string, itemId: string, value: string) => ({ key, itemId, field: 'qty', value, was: '1' });
    disk.set(STORE, [edit('a', 'i-9', '77'), edit('b', 'i-1', '5')]);
    const { boq, said } = make([item(1)]);
    await settle();
    expect([said, disk.get(STORE), boq.outbox.list(), boq.items.get('i-1')?.qty]).toEqual([['1 edit was of an item that is gone: 77'], [], [], '5']);
  });

  it('is told when the server says so, or the item goes meanwhile', async () => {
    const { boq, said } = make([item(1), item(2)], (id) => {
      if (id === 'i-1') return new RealtimeError('no such item', 'not_found', { status: 404 });
      boq.onDeleted(id);
      return new RealtimeError('no', 'conflict', { status: 409, current: item(2, { qty: '3', version: 2 }) });
    });
    boq.edit(item(1), 'qty', '77');
    boq.edit(item(2), 'qty', '78');
    await settle();
    expect([said, boq.outbox.list()]).toEqual([['1 edit was of an item that is gone: 77', '1 edit was of an item that is gone: 78'], []]);
  });
});
