// useLists.ts -- lists of the server, kept live by a project's events.
//
// An event that comes while its list is on the way may or may not be in it: then the list is read
// once more.
import { useEvent, useReload } from '@skybuild/realtime-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useCallback, useEffect, useMemo, useRef } from 'react';
import { type Comment, listAll, pathOf, type Task } from '../lib/api';
import { useRequest } from '../lib/useRequest';

export interface LiveList<T> {
  rows: readonly T[] | null;
  isError: boolean;
  /** Change the list by what an event says. */
  put(fn: (old: readonly T[]) => T[]): void;
  /** The list as it is now, outside of rendering. */
  peek(): readonly T[];
  reload(): Promise<void>;
}

export function useLiveList<T>(name: string, projectId: string): LiveList<T> {
  const request = useRequest();
  const queries = useQueryClient();
  const queryKey = useMemo(() => [name, projectId], [name, projectId]);
  const { data, dataUpdatedAt, isError, isFetching } = useQuery({ queryKey, queryFn: () => listAll<T>(request, `${pathOf(projectId)}/${name}`), staleTime: Infinity });
  const isStale = useRef(false);
  const reload = useCallback(() => queries.invalidateQueries({ queryKey }), [queries, queryKey]);
  const put = useCallback(
    (fn: (old: readonly T[]) => T[]) => {
      if (queries.isFetching({ queryKey }) > 0) isStale.current = true;
      queries.setQueryData<T[]>(queryKey, (old) => old && fn(old));
    },
    [queries, queryKey],
  );
  useEffect(() => {
    if (isFetching || !isStale.current) return;
    isStale.current = false;
    void reload();
  }, [isFetching, dataUpdatedAt, reload]);
  const peek = useCallback(() => queries.getQueryData<T[]>(queryKey) ?? [], [queries, queryKey]);
  useReload(() => void reload());
  return useMemo(() => ({ rows: data ?? null, isError: isError && !data, put, peek, reload }), [data, isError, put, peek, reload]);
}

export function useTasks(projectId: string): LiveList<Task> {
  const list = useLiveList<Task>('tasks', projectId);
  const { put } = list;
  useEvent('task:created', (e) => put((old) => [...old.filter((t) => t.task_id !== e.task_id), e.task as Task]));
  useEvent('task:updated', (e) =>
    put((old) =>
      old.map((t) => (t.task_id === Number(e.task_id) && !(e.version !== undefined && e.version <= t.version) ? { ...t, ...(e.updates as Partial<Task>), version: e.version ?? t.version, updated_by: e.updated_by } : t)),
    ),
  );
  useEvent('task:deleted', (e) => put((old) => old.filter((t) => t.task_id !== e.task_id)));
  return list;
}

export function useComments(projectId: string): LiveList<Comment> {
  const list = useLiveList<Comment>('comments', projectId);
  const { put } = list;
  useEvent('comment:created', (e) => put((old) => [...old.filter((c) => c.comment_id !== e.comment_id), { item_id: null, task_id: null, created_at: new Date().toISOString(), ...e.comment, comment_id: e.comment_id } as Comment]));
  useEvent('comment:deleted', (e) => put((old) => old.filter((c) => c.comment_id !== e.comment_id)));
  return list;
}
