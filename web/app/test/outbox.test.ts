// Edits on their way: kept until the server has answered somebody who is there to read it.
import { RealtimeError } from '@skybuild/realtime-react';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { Item } from '../src/lib/api';
import { type Edit, Outbox, type OutboxHooks } from '../src/lib/outbox';

const { disk, writes } = vi.hoisted(() => ({ disk: new Map<string, unknown>(), writes: [] as string[] }));
vi.mock('idb-keyval', () => ({
  get: async (key: string) => structuredClone(disk.get(key)),
  update: async (key: string, make: (old: unknown) => unknown) => (writes.push(key), void disk.set(key, structuredClone(make(structuredClone(disk.get(key)))))),
}));

const item = (more: Partial<Item> = {}): Item => ({ item_id: 'i', code: '1', description: '', unit: 'm', qty: '1', unit_price: '2', section: '', version: 3, updated_at: '', updated_by: 'ben', ...more });
const edit = (value: string, key = value): Edit => ({ key, itemId: 'i', field: 'qty', value, was: '1' });
const refusal = (status: number) => new RealtimeError('no', `s${status}`, { status });

/** A page whose server answers as the test says. */
function make(answer: (n: number) => unknown) {
  const keys: string[] = [];
  const page = { hasEnded: false };
  const hooks: OutboxHooks = {
    request: (async (_method: string, _path: string, _body: object, { idempotencyKey }: { idempotencyKey: string }) => {
      keys.push(idempotencyKey);
      const said = await answer(keys.length);
      if (said instanceof Error) throw said;
      return said;
    }) as OutboxHooks['request'],
    connected: () => (page.hasEnded ? new Promise(() => {}) : null),
    pathOf: (id) => `/${id}`,
  };
  return { outbox: new Outbox('s', hooks), keys, page };
}
const kept = () => ((disk.get('s') ?? []) as Edit[]).map((e) => e.value);

beforeEach(() => {
  disk.clear();
  writes.length = 0;
  vi.useFakeTimers();
});

describe('the outbox', () => {
  it('waits with a 401 as with a server that is away, and sends the same once more', async () => {
    const { outbox, keys } = make((n) => (n < 3 ? refusal(401) : item({ qty: '5', version: 4 })));
    outbox.add(edit('5'));
    const sent = outbox.send(edit('5'), item);
    await vi.advanceTimersByTimeAsync(500);
    expect([kept(), outbox.list().length]).toEqual([['5'], 1]);
    await vi.advanceTimersByTimeAsync(5000);
    expect((await sent).qty).toBe('5');
    expect([keys.length, new Set(keys).size, kept(), outbox.list()]).toEqual([3, 1, [], []]);
  });

  it.each([401, 422])('of a page that has ended sends nothing more; what got a %i there is kept', async (status) => {
    const { outbox, keys, page } = make(() => ((page.hasEnded = true), refusal(status)));
    for (const e of [edit('5'), { ...edit('7'), was: '6' }]) {
      outbox.add(e);
      outbox.send(e, item).catch(() => {});
    }
    await vi.advanceTimersByTimeAsync(10_000);
    expect([keys.length, kept()]).toEqual([1, ['5', '7']]);
  });

  it('of one window leaves alone what another has kept, and writes many edits at once', async () => {
    const [one, other] = [make(() => item({ qty: '5', version: 4 })), make(() => refusal(401))];
    await one.outbox.restore();
    await other.outbox.restore();
    other.outbox.add(edit('7'), edit('8'));
    one.outbox.add(edit('5'));
    expect(writes.length).toBe(2);
    await one.outbox.send(edit('5'), item);
    expect(kept()).toEqual(['7', '8']);
    const later = make(() => item());
    later.outbox.add(edit('9'));
    expect((await later.outbox.restore()).map((e) => e.value)).toEqual(['7', '8']);
    expect(later.outbox.list().map((e) => e.value)).toEqual(['7', '8', '9']);
  });

  it('takes out what is refused', async () => {
    const { outbox } = make(() => refusal(422));
    outbox.add(edit('5'));
    await expect(outbox.send(edit('5'), item)).rejects.toThrow('no');
    expect(kept()).toEqual([]);
  });
});
