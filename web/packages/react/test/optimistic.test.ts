import { describe, expect, it } from 'vitest';
import { RealtimeError } from '../src/error.js';
import { Optimistic } from '../src/optimistic.js';
import { settle } from './fake.js';

interface Row {
  id: string;
  qty: string;
  price: string;
  version: number;
}
const row = (qty: string, version: number, price = '1'): Row => ({ id: 'a', qty, price, version });
const make = () => new Optimistic<Row>({ keyOf: (r) => r.id, versionOf: (r) => r.version });
function later<T>() {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((a, b) => ([resolve, reject] = [a, b]));
  return { promise, resolve, reject };
}

describe('optimistic rows', () => {
  it('shows a change at once, then the server’s answer, then the rows of the caller', async () => {
    const o = make();
    const base = row('1', 1);
    const answer = later<Row>();
    const done = o.change(base, { qty: '5' }, () => answer.promise);
    expect(o.view(base)).toEqual(row('5', 1));
    expect(o.view(base)).toBe(o.view(base)); // the same object: nothing renders for nothing
    expect(o.isPending('a')).toBe(true);
    expect([o.isPending('a', 'qty'), o.isPending('a', 'price')]).toEqual([true, false]);
    answer.resolve(row('5', 2));
    expect(await done).toEqual({ ok: true, row: row('5', 2) });
    expect(o.view(base)).toEqual(row('5', 2));
    expect(o.isPending('a')).toBe(false);
    const newer = row('6', 3);
    expect(o.view(newer)).toBe(newer);
  });

  it('is sent before anything is drawn for it', () => {
    const o = make();
    const order: string[] = [];
    o.revision.subscribe(() => order.push('drawn'));
    void o.change(row('1', 1), { qty: '5' }, () => (order.push('sent'), new Promise(() => {})));
    expect(order).toEqual(['sent', 'drawn']);
  });

  it('rolls back on 409 and hands over both sides', async () => {
    const o = make();
    const base = row('1', 1);
    const done = o.change(base, { qty: '5' }, async () => {
      throw new RealtimeError('outdated', 'conflict', { status: 409, current: row('3', 2) });
    });
    expect(o.view(base).qty).toBe('5');
    const outcome = await done;
    expect(outcome).toMatchObject({ ok: false, mine: { qty: '5' }, theirs: row('3', 2) });
    expect(o.view(base)).toEqual(row('3', 2));
  });

  it('rolls back on any other refusal', async () => {
    const o = make();
    const base = row('1', 1);
    const outcome = await o.change(base, { qty: 'x' }, async () => {
      throw new RealtimeError('qty is no number', 'invalid', { status: 422, field: 'qty' });
    });
    expect(outcome).toMatchObject({ ok: false, theirs: null, error: { code: 'invalid', field: 'qty' } });
    expect(o.view(base)).toBe(base);
  });

  it('sends changes of one row one after the other, each on the answer before', async () => {
    const o = make();
    const base = row('1', 1);
    const first = later<Row>();
    const seen: number[] = [];
    const a = o.change(base, { qty: '2' }, (newest) => (seen.push(newest.version), first.promise));
    const b = o.change(base, { price: '9' }, async (newest) => (seen.push(newest.version), { ...newest, price: '9', version: 3 }));
    expect(o.view(base)).toEqual(row('2', 1, '9'));
    await settle();
    expect(seen).toEqual([1]);
    first.resolve(row('2', 2));
    await Promise.all([a, b]);
    expect(seen).toEqual([1, 2]);
    expect(o.view(base)).toEqual(row('2', 3, '9'));
  });

  it('a refused change takes only itself back', async () => {
    const o = make();
    const base = row('1', 1);
    const a = o.change(base, { qty: '2' }, async () => Promise.reject(new RealtimeError('no', 'forbidden', { status: 403 })));
    const second = later<Row>();
    const b = o.change(base, { price: '9' }, () => second.promise);
    await a;
    expect(o.view(base)).toEqual(row('1', 1, '9'));
    second.resolve(row('1', 2, '9'));
    await b;
    expect(o.view(base)).toEqual(row('1', 2, '9'));
  });

  it('an event that is newer than the answer wins', async () => {
    const o = make();
    await o.change(row('1', 1), { qty: '2' }, async () => row('2', 2));
    expect(o.view(row('7', 5))).toEqual(row('7', 5));
  });
});
