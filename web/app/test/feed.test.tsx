// @vitest-environment jsdom
// What feeds the table: the list as it is read, and what happens to it meanwhile.
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { render, waitFor } from '@testing-library/react';
import { expect, it, vi } from 'vitest';
import { Boq, BoqFeed } from '../src/boq/useBoq';
import type { Item } from '../src/lib/api';

const { handlers, request } = vi.hoisted(() => ({ handlers: new Map<string, (data: unknown) => void>(), request: vi.fn() }));
vi.mock('@skybuild/realtime-react', async (load) => ({
  ...(await load<object>()),
  useReload: () => {},
  useEvent: (name: string, handler: (data: unknown) => void) => void handlers.set(name, handler),
}));
vi.mock('idb-keyval', () => ({ get: async () => undefined, update: async () => {} }));
vi.mock('../src/lib/useRequest', () => ({ useRequest: () => request }));

const item = (n: number): Item => ({ item_id: `i-${n}`, code: `${n}`, description: '', unit: 'm', qty: '1' as Item['qty'], unit_price: null, section: '', version: 1, updated_at: '', updated_by: 'anna' });

it('an item that comes when the list has been read and is not drawn yet stays', async () => {
  const onServer = [item(1)];
  request.mockImplementation(async () => ({ items: [...onServer], next_cursor: null }));
  const queries = new QueryClient();
  const boq = new Boq('p', 'ben', request, () => null);
  render(
    <QueryClientProvider client={queries}>
      <BoqFeed boq={boq} projectId="p" />
    </QueryClientProvider>,
  );
  // The answer is in the cache, and nobody has been told of it.
  while (!queries.getQueryData(['boq', 'p'])) await Promise.resolve();
  expect(boq.status).toBe('loading');
  onServer.push(item(2));
  handlers.get('boq:item:created')!({ item_id: 'i-2', item: { ...item(2), qty: 1 }, updated_by: 'anna' });
  await waitFor(() => expect(boq.status).toBe('ready'));
  await waitFor(() => expect(boq.items.all().map((i) => i.item_id)).toEqual(['i-1', 'i-2']));
});
