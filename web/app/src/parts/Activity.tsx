// Activity.tsx -- the project's event history as sentences, going on live.
import { Button, Group, Skeleton, Text } from '@mantine/core';
import { type HistoryEvent, type HistoryPage, useAnyEvent, useRequest } from '@skybuild/realtime-react';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { pathOf } from '../lib/api';
import { when } from '../lib/people';
import { useTopic } from '../boq/useBoq';
import { Face } from './Face';
import { sentenceOf } from './sentences';
import { useWorkspace } from './workspace';

const PAGE = 100;

export function Activity() {
  const workspace = useWorkspace();
  const { project, people } = workspace;
  useTopic(workspace.boq, 'texts'); // what was done was done to something that has a name
  const request = useRequest();
  const [fresh, setFresh] = useState<HistoryEvent[]>([]);
  useAnyEvent((data, { name }) => {
    const seq = (data as { seq?: unknown } | null)?.seq;
    // The answer to a join names the last number, and is no event of the history itself.
    if (typeof seq === 'number' && name !== 'joined_project') setFresh((old) => [{ seq, type: name, data, created_at: new Date().toISOString() }, ...old]);
  });
  // Backwards: a page is what is in front of a number.
  const history = useInfiniteQuery({
    queryKey: ['history', project.project_id],
    initialPageParam: project.seq,
    queryFn: async ({ pageParam: to }) => {
      const after = Math.max(0, to - PAGE);
      const page = await request<HistoryPage>('GET', `${pathOf(project.project_id)}/events?after=${after}&limit=${PAGE}`);
      return { items: page.items.filter((e) => e.seq <= to).reverse(), from: after, oldest: page.oldest_seq ?? 0 };
    },
    getNextPageParam: (last) => (last.from > 0 && last.from >= last.oldest ? last.from : undefined),
    gcTime: 0,
  });
  const events = useMemo(() => {
    const seen = new Set<number>();
    return [...fresh, ...(history.data?.pages.flatMap((p) => p.items) ?? [])].filter((e) => !seen.has(e.seq) && seen.add(e.seq)).sort((a, b) => b.seq - a.seq);
  }, [fresh, history.data]);

  return (
    <section className="tab feed" aria-label="Activity" tabIndex={0}>
      {history.isPending && Array.from({ length: 8 }, (_, i) => <Skeleton key={i} height={28} m="sm" />)}
      <ol>
        {events.map((e) => {
          const { who, text } = sentenceOf(e, workspace);
          return (
            <li key={e.seq} data-seq={e.seq}>
              <Group gap="sm" wrap="nowrap" align="flex-start">
                <Face userId={who ?? '?'} people={people} size={24} />
                <Text size="sm" className="grow">
                  <b>{who ? people.nameOf(who) : 'Somebody'}</b> {text}
                </Text>
                <Text size="xs" c="dimmed" className="when">
                  {e.created_at ? when(e.created_at) : ''}
                </Text>
              </Group>
            </li>
          );
        })}
      </ol>
      {history.hasNextPage && (
        <Button variant="subtle" size="xs" m="sm" loading={history.isFetchingNextPage} onClick={() => void history.fetchNextPage()}>
          Earlier
        </Button>
      )}
    </section>
  );
}
