// useHistory.ts -- the project's event history, the newest first, going on live.
import { type HistoryEvent, type HistoryPage, useAnyEvent } from '@skybuild/realtime-react';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { pathOf } from '../lib/api';
import { useRequest } from '../lib/useRequest';
import { useWorkspace } from './workspace';

/** `limit`: events of a page.  Backwards: a page is what is in front of a number. */
export function useHistory(limit: number) {
  const { project } = useWorkspace();
  const request = useRequest();
  const [fresh, setFresh] = useState<HistoryEvent[]>([]);
  useAnyEvent((data, { name, missed }) => {
    const seq = (data as { seq?: unknown } | null)?.seq;
    // The answer to a join names the last number, and is no event of the history itself.
    if (typeof seq === 'number' && name !== 'joined_project') setFresh((old) => [{ seq, type: name, data, created_at: missed ? '' : new Date().toISOString() }, ...old]);
    if (missed) void pages.refetch({ cancelRefetch: false }); // when that was, the history knows
  });
  const pages = useInfiniteQuery({
    queryKey: ['history', project.project_id, limit],
    initialPageParam: Number.MAX_SAFE_INTEGER, // whatever the newest is
    queryFn: async ({ pageParam }) => {
      const read = (after: number) => request<HistoryPage>('GET', `${pathOf(project.project_id)}/events?after=${after}&limit=${limit}`);
      // The project's number may be of a while ago: what came since is asked for from there.
      const newest = pageParam === Number.MAX_SAFE_INTEGER ? Math.max(project.seq, (await read(project.seq)).last_seq) : pageParam;
      const after = Math.max(0, newest - limit);
      const page = await read(after);
      return { items: page.items.filter((e) => e.seq <= newest).reverse(), from: after, oldest: page.oldest_seq ?? 0 };
    },
    getNextPageParam: (last) => (last.from > 0 && last.from >= last.oldest ? last.from : undefined),
    gcTime: 0,
  });
  const events = useMemo(() => {
    const seen = new Set<number>();
    return [...(pages.data?.pages.flatMap((p) => p.items) ?? []), ...fresh].filter((e) => !seen.has(e.seq) && seen.add(e.seq)).sort((a, b) => b.seq - a.seq);
  }, [fresh, pages.data]);
  return { events, pages };
}
