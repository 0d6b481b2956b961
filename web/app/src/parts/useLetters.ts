// useLetters.ts -- a project's letters (lib/letters.ts) in components.
import { useEffect, useMemo, useSyncExternalStore } from 'react';
import { useConnected } from '../boq/useBoq';
import type { Comment, Task } from '../lib/api';
import { type Letter, Letters } from '../lib/letters';
import type { People } from '../lib/people';
import { useRequest } from '../lib/useRequest';
import type { LiveList } from './useLists';

export function useLetters(projectId: string, userId: string, people: People, tasks: LiveList<Task>, comments: LiveList<Comment>): Letters {
  const request = useRequest();
  const connected = useConnected();
  const hooks = {
    request,
    connected,
    taskOf: (id: number) => tasks.peek().find((t) => t.task_id === id),
    nameOf: people.nameOf,
    onComment: (row: Comment) => comments.put((old) => (old.some((c) => c.comment_id === row.comment_id) ? [...old] : [...old, row])),
    onTask: (row: Task) => tasks.put((old) => (old.some((t) => t.task_id === row.task_id) ? old.map((t) => (t.task_id === row.task_id && row.version > t.version ? row : t)) : [...old, row])),
  };
  const letters = useMemo(() => new Letters(`skybuild-letters ${userId} ${projectId}`, projectId, hooks), [projectId, userId]);
  useEffect(() => {
    letters.hooks = hooks;
  });
  const isReady = tasks.rows !== null && comments.rows !== null;
  useEffect(() => {
    if (isReady) void letters.restore();
  }, [isReady, letters]);
  return letters;
}

export const useLetterList = (letters: Letters): readonly Letter[] => useSyncExternalStore(letters.subscribe, letters.list);
