// @vitest-environment jsdom
// Who waits for a connection, and for how long.
import { renderHook } from '@testing-library/react';
import { StrictMode } from 'react';
import { expect, it, vi } from 'vitest';
import { useConnected } from '../src/boq/useBoq';

const { connection } = vi.hoisted(() => ({ connection: { status: 'connected' } }));
vi.mock('@skybuild/realtime-react', async (load) => ({ ...(await load<object>()), useConnection: () => connection }));

it('there is a connection while the page is there, and none after it', async () => {
  const { result, rerender, unmount } = renderHook(() => useConnected(), { wrapper: StrictMode });
  expect(result.current()).toBe(null);
  connection.status = 'reconnecting';
  rerender();
  const waits = result.current();
  expect(waits).toBeInstanceOf(Promise);
  connection.status = 'connected';
  rerender();
  await waits;
  unmount();
  let isOver = false;
  void result.current()?.then(() => (isOver = true));
  await new Promise((resolve) => setTimeout(resolve));
  expect([result.current() === null, isOver]).toEqual([false, false]);
});
