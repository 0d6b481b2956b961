// useBoq.tsx -- the bill of quantities in components: the model, what feeds it, and hooks that draw
// a component anew for what it shows alone.
import { notifications } from '@mantine/notifications';
import { useConnection, useEvent, useReload } from '@skybuild/realtime-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useSyncExternalStore } from 'react';
import { type Item, listAll, pathOf } from '../lib/api';
import type { Edit } from '../lib/outbox';
import { useRequest } from '../lib/useRequest';
import { Boq, type Row, type Trouble } from './boq';
import { itemKey, type Order, sectionKey, type Topic } from './items';

export type { Flash, Row, Trouble } from './boq';
export { Boq };

/** Resolves when there is a connection; null: there is one now.  Once its component is gone it never does: what waits is the next page's. */
export function useConnected(): () => Promise<void> | null {
  const { status } = useConnection();
  const live = useRef({ isConnected: false, waiting: [] as (() => void)[] });
  useEffect(() => {
    live.current.isConnected = status === 'connected';
    if (status === 'connected') for (const go of live.current.waiting.splice(0)) go();
    return () => void (live.current.isConnected = false);
  }, [status]);
  return useCallback(() => (live.current.isConnected ? null : new Promise<void>((resolve) => live.current.waiting.push(resolve))), []);
}

export function useBoq(projectId: string, userId: string): Boq {
  const request = useRequest();
  const connected = useConnected();
  return useMemo(() => new Boq(projectId, userId, request, connected), [connected, projectId, request, userId]);
}

/** Reads the items and hands on what happens to them.  Draws nothing, so that nothing is drawn for it. */
export function BoqFeed({ boq, projectId }: { boq: Boq; projectId: string }) {
  const request = useRequest();
  const queries = useQueryClient();
  const queryKey = useMemo(() => ['boq', projectId], [projectId]);
  const { data, dataUpdatedAt, isError, isFetching } = useQuery({ queryKey, queryFn: ({ signal }) => listAll<Item>(request, `${pathOf(projectId)}/boq`, signal), staleTime: Infinity });
  useLayoutEffect(() => {
    boq.notify = (message) => notifications.show({ message, autoClose: false });
  }, [boq]);
  const loaded = useRef<Item[]>(undefined);
  useLayoutEffect(() => {
    if (data) boq.load(data);
    loaded.current = data;
  }, [boq, data]);
  useEffect(() => {
    if (!data) boq.setStatus(isError ? 'error' : 'loading');
  }, [boq, data, isError]);

  // What comes while the list is on its way, or is here but not drawn yet, may or may not be in it: it is
  // read once more behind that, however much has come.
  const isStale = useRef(false);
  const mark = useCallback(() => {
    const isReading = queries.isFetching({ queryKey }) > 0 || queries.getQueryData(queryKey) !== loaded.current;
    if (isReading) isStale.current = true;
    return isReading;
  }, [queries, queryKey]);
  const reload = useCallback(() => void (mark() || queries.invalidateQueries({ queryKey })), [mark, queries, queryKey]);
  useEffect(() => {
    boq.reload = reload;
  }, [boq, reload]);
  useEffect(() => {
    if (isFetching || !isStale.current) return;
    isStale.current = false;
    reload();
  }, [isFetching, dataUpdatedAt, reload]);
  useReload(reload);
  useEvent('boq:bulk:updated', reload);
  useEvent('boq:item:updated', (data) => (mark(), boq.onUpdated(data)));
  useEvent('boq:item:created', (data) => (mark(), boq.onCreated(data)));
  useEvent('boq:item:deleted', (data) => (mark(), boq.onDeleted(data.item_id)));
  // Whoever comes back to the project begins with what was known when they left.
  useEffect(() => () => void (boq.status === 'ready' && queries.setQueryData<Item[]>(queryKey, boq.newest())), [boq, queries, queryKey]);
  return null;
}

/** Draws anew when that topic is told; with null, never. */
export function useTopic(boq: Boq, topic: Topic | null): number {
  return useSyncExternalStore(useCallback((watcher) => (topic ? boq.items.watch(topic, watcher) : () => {}), [boq, topic]), () => (topic ? boq.items.revision(topic) : 0));
}

export function useOrder(boq: Boq): Order {
  return useSyncExternalStore(useCallback((watcher) => boq.items.watch('order', watcher), [boq]), boq.items.order);
}

export function useReadStatus(boq: Boq): Boq['status'] {
  return useSyncExternalStore(useCallback((watcher) => boq.items.watch('status', watcher), [boq]), () => boq.status);
}

/** What did not go through and is not decided yet. */
export function useTroubles(boq: Boq): readonly Trouble[] {
  return useSyncExternalStore(useCallback((watcher) => boq.items.watch('troubles', watcher), [boq]), boq.openTroubles);
}

export function useRow(boq: Boq, id: string): Row | undefined {
  return useSyncExternalStore(useCallback((watcher) => boq.items.watch(itemKey(id), watcher), [boq, id]), () => boq.row(id));
}

export function useSectionSum(boq: Boq, name: string): bigint {
  return useSyncExternalStore(useCallback((watcher) => boq.items.watch(sectionKey(name), watcher), [boq, name]), () => boq.items.sumOf(name));
}

export function useEdits(boq: Boq): readonly Edit[] {
  return useSyncExternalStore(boq.outbox.subscribe, boq.outbox.list);
}
