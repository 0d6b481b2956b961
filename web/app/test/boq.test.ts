// The bill as its page has it: own edits, what became of them, and what is said about them.
import { RealtimeError } from '@skybuild/realtime-react';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { Boq } from '../src/boq/boq';
import { copied, pasted } from '../src/boq/columns';
import type { Item } from '../src/lib/api';
import { marksOf } from '../src/lib/decimal';

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

  it('is told when the item goes while a conflict about it is open, which ends with it', async () => {
    const { boq, said } = make([item(1), item(2)], (id) => new RealtimeError('no', 'conflict', { status: 409, current: item(Number(id.slice(2)), { qty: '3', version: 2, updated_by: 'ben' }) }));
    boq.edit(item(1), 'qty', '77');
    boq.edit(item(2), 'qty', '78');
    await settle();
    expect(boq.openTroubles().map((t) => t.mine)).toEqual(['77', '78']);
    boq.onDeleted('i-1');
    expect([said, boq.openTroubles().map((t) => t.mine)]).toEqual([['1 edit was of an item that is gone: 77'], ['78']]);
  });
});

describe('a paste', () => {
  const list = Array.from({ length: 20 }, (_, n) => item(n));

  it('tells how many cells it leaves out, and why', () => {
    const { edits, dropped } = pasted('5\t1,5\t99\n\t3\nlots\t4\textra\tmore\n7\t8\r\n', [item(1), item(2, { qty: null }), item(3)], 'qty', marksOf('de'));
    expect(edits.map((e) => [e.item.item_id, e.field, e.value])).toEqual([['i-1', 'qty', '5'], ['i-1', 'unit_price', '1.5'], ['i-2', 'unit_price', '3'], ['i-3', 'unit_price', '4']]);
    expect(dropped).toBe('4 cells were left out: 1 without a number, 3 beyond the table');
    expect(pasted('5\n', list, 'qty').dropped).toBe('');
  });

  it('of a copy gives the same again, in the way of writing of any locale', () => {
    const rows = [item(1, { qty: '12.345', description: 'a\tb', unit_price: '1234.5' })];
    const text = copied(rows, ['code', 'description', 'unit', 'qty', 'unit_price', 'total'], marksOf('de'));
    expect(text).toBe('1\ta b\tm\t12,345\t1234,5\t15239,9025');
    expect(pasted(text, rows, 'code', marksOf('de'))).toMatchObject({ edits: [{}, {}, {}, { value: '12.345' }, { value: '1234.5' }], dropped: '' });
  });

  it('is one write and one step of undo and redo', async () => {
    const { boq } = make(list);
    await settle();
    writes.length = 0;
    boq.editAll(list.map((i) => ({ item: i, field: 'qty' as const, value: '9' })));
    expect(writes.length).toBe(1);
    await settle();
    const shown = () => new Set(list.map((i) => boq.items.get(i.item_id)!.qty));
    expect(shown()).toEqual(new Set(['9']));
    boq.undo();
    await settle();
    expect(shown()).toEqual(new Set(['1']));
    boq.redo();
    await settle();
    expect(shown()).toEqual(new Set(['9']));
  });
});

it('an edit that is refused is no step of undo', async () => {
  const { boq } = make([item(1)], (_, { qty }) => (qty === '7' ? new RealtimeError('too many', 'invalid', { status: 422 }) : null));
  boq.edit(item(1), 'qty', '5');
  await settle();
  boq.edit(boq.items.get('i-1')!, 'qty', '7');
  await settle();
  expect(boq.row('i-1')!.troubles.size).toBe(1);
  boq.undo();
  await settle();
  expect([boq.items.get('i-1')!.qty, boq.row('i-1')!.troubles.size]).toEqual(['1', 0]);
});
