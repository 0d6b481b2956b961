// useLists.ts -- tasks and comments of a project, kept live by its events.
import { useEvent, useReload, useRequest } from '@skybuild/realtime-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { type Comment, listAll, pathOf, type Task } from '../lib/api';

export function useTasks(projectId: string): readonly Task[] | null {
  const request = useRequest();
  const queries = useQueryClient();
  const queryKey = ['tasks', projectId];
  const { data } = useQuery({ queryKey, queryFn: () => listAll<Task>(request, `${pathOf(projectId)}/tasks`), staleTime: Infinity });
  const put = (fn: (old: Task[]) => Task[]) => queries.setQueryData<Task[]>(queryKey, (old) => old && fn(old));
  useEvent('task:created', (e) => put((old) => [...old.filter((t) => t.task_id !== e.task_id), e.task as Task]));
  useEvent('task:updated', (e) =>
    put((old) =>
      old.map((t) => (t.task_id === Number(e.task_id) && !(e.version !== undefined && e.version <= t.version) ? { ...t, ...(e.updates as Partial<Task>), version: e.version ?? t.version, updated_by: e.updated_by } : t)),
    ),
  );
  useEvent('task:deleted', (e) => put((old) => old.filter((t) => t.task_id !== e.task_id)));
  useReload(() => void queries.invalidateQueries({ queryKey }));
  return data ?? null;
}

export function useComments(projectId: string): readonly Comment[] | null {
  const request = useRequest();
  const queries = useQueryClient();
  const queryKey = ['comments', projectId];
  const { data } = useQuery({ queryKey, queryFn: () => listAll<Comment>(request, `${pathOf(projectId)}/comments`), staleTime: Infinity });
  const put = (fn: (old: Comment[]) => Comment[]) => queries.setQueryData<Comment[]>(queryKey, (old) => old && fn(old));
  useEvent('comment:created', (e) => put((old) => [...old.filter((c) => c.comment_id !== e.comment_id), { item_id: null, task_id: null, created_at: new Date().toISOString(), ...e.comment, comment_id: e.comment_id } as Comment]));
  useEvent('comment:deleted', (e) => put((old) => old.filter((c) => c.comment_id !== e.comment_id)));
  useReload(() => void queries.invalidateQueries({ queryKey }));
  return data ?? null;
}
