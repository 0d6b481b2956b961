// The items of a bill: what a change costs, who hears of it, and that sums stay exact.
import Big from 'big.js';
import { describe, expect, it } from 'vitest';
import { itemKey, Items, sectionKey } from '../src/boq/items';
import type { Item } from '../src/lib/api';
import { exact, shown, totalOf } from '../src/lib/decimal';

const item = (n: number, more: Partial<Item> = {}): Item => ({ item_id: `i-${n}`, code: `${n}`, description: `Item ${n}`, unit: 'm', qty: '2', unit_price: '1.5', section: `${n % 3}`, version: 1, updated_at: '', updated_by: 'anna', ...more });

function watched(items: Items, ...keys: string[]) {
  const told: string[] = [];
  for (const key of keys) items.watch(key, () => told.push(key));
  return told;
}

describe('items', () => {
  it('a change of one tells its watchers, its section and the grand total, and nobody else', () => {
    const items = new Items();
    items.replace(Array.from({ length: 9 }, (_, n) => item(n)));
    const told = watched(items, 'order', 'sums', 'texts', ...[0, 1, 2].map((s) => sectionKey(String(s))), ...Array.from({ length: 9 }, (_, n) => itemKey(`i-${n}`)));
    const order = items.order();
    items.set(item(4, { qty: '3', version: 2 }));
    expect(told.sort()).toEqual([itemKey('i-4'), sectionKey('1'), 'sums'].sort());
    expect(items.order()).toBe(order);
    expect([exact(items.sumOf('1')), exact(items.total())]).toEqual(['10.5', '28.5']);
  });

  it('a text tells that texts have changed, and no sum', () => {
    const items = new Items();
    items.replace([item(0)]);
    const told = watched(items, 'order', 'sums', 'texts', sectionKey('0'), itemKey('i-0'));
    items.set(item(0, { description: 'Other' }));
    expect(told.sort()).toEqual([itemKey('i-0'), 'texts'].sort());
  });

  it('another section is another place; sections that stay as they are stay the same objects', () => {
    const items = new Items();
    items.replace(Array.from({ length: 6 }, (_, n) => item(n)));
    const [zero, one, two] = items.order().sections;
    items.set(item(0, { section: '1' }));
    const after = items.order().sections;
    expect(after.map((s) => [s.name, s.ids])).toEqual([['1', ['i-0', 'i-1', 'i-4']], ['2', ['i-2', 'i-5']], ['0', ['i-3']]]);
    expect(after[1]).toBe(two);
    expect([after[0], after[2]]).not.toContain(one);
    expect(after[2]).not.toBe(zero);
  });

  it('sums are those of big.js to the last digit, whatever is done in whatever order', () => {
    const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 1e9));
    let state = seed;
    const random = (n: number) => (state = (state * 1103515245 + 12345) % 2147483648) % n;
    const decimal = () => (random(5) ? `${random(2) ? '-' : ''}${random(1e9)}${'0'.repeat(random(9))}.${String(random(1e6)).slice(0, 1 + random(6))}` : null);
    const items = new Items();
    let list = Array.from({ length: 60 }, (_, n) => item(n, { qty: decimal(), unit_price: decimal() }));
    items.replace(list);
    for (let step = 0; step < 400; step++) {
      const at = random(list.length);
      const what = random(12);
      if (what === 0) items.replace((list = list.filter((_, i) => i !== at || list.length < 10)));
      else if (what === 1) items.replace((list = [...list, item(1000 + step, { qty: decimal(), unit_price: decimal() })]));
      else {
        list = list.map((row, i) => (i === at ? { ...row, qty: decimal(), unit_price: decimal(), section: what === 2 ? String(random(4)) : row.section } : row));
        items.set(list[at]!);
      }
      const sum = (rows: Item[]) => rows.reduce((s, r) => (r.qty && r.unit_price ? s.plus(new Big(r.qty).times(r.unit_price)) : s), new Big(0));
      expect(exact(items.total()), `SEED=${seed}, step ${step}`).toBe(sum(list).toFixed());
      for (const { name } of items.order().sections) expect(exact(items.sumOf(name)), `SEED=${seed}, step ${step}`).toBe(sum(list.filter((r) => r.section === name)).toFixed());
      expect(items.order().count).toBe(list.length);
    }
  });
});

describe('totals', () => {
  it.each([
    ['318.123456', '86.40', '27485.8665984'],
    ['-0.5', '0.000001', '-0.0000005'],
    ['999999999999999999.999999', '999999999999999999.999999', '999999999999999999999998000000000000.000000000001'],
    ['0', '7', '0'],
    ['1e3', '2', '2000'],
    ['0.1234567', '1', '0.1234567'], // more places than the server takes: shown until it refuses
  ])('%s × %s = %s', (qty, unit_price, total) => {
    expect(exact(totalOf({ qty, unit_price }))).toBe(total);
  });
  it('are shown with every digit', () => {
    expect(shown(totalOf({ qty: '318.123456', unit_price: '86.40' }), 2)).toMatch(/27.?485.8665984/);
    expect(totalOf({ qty: null, unit_price: '1' })).toBe(0n);
  });
});
