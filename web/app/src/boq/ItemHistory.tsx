// ItemHistory.tsx -- what was done to one item, the newest first.
import { Button, Group, Skeleton, Text } from '@mantine/core';
import type { HistoryEvent } from '@skybuild/realtime-react';
import { when } from '../lib/people';
import { Face } from '../parts/Face';
import { changesOf } from '../parts/sentences';
import { useHistory } from '../parts/useHistory';
import { useWorkspace } from '../parts/workspace';

const PAGE = 1000; // most of it is about other items

interface Done {
  item_id: string;
  updated_by: string;
  updates?: Record<string, unknown>;
}

const doneTo = (id: string, { type, data }: HistoryEvent): Done | null => {
  const done = data as Done | null;
  return (type === 'boq:item:updated' || type === 'boq:item:created') && done?.item_id === id ? done : null;
};

export function ItemHistory({ id }: { id: string }) {
  const { people } = useWorkspace();
  const { events, pages } = useHistory(PAGE);
  const own = events.flatMap((e) => {
    const done = doneTo(id, e);
    return done ? [{ e, done }] : [];
  });
  return (
    <section className="item-history" aria-label="History" tabIndex={0}>
      {pages.isPending && <Skeleton height={24} my="xs" />}
      {!pages.isPending && own.length === 0 && (
        <Text size="sm" c="dimmed">
          Nothing has been done to it{pages.hasNextPage ? ' lately' : ''}.
        </Text>
      )}
      <ol>
        {own.map(({ e, done }) => (
          <li key={e.seq} data-seq={e.seq}>
            <Group gap="sm" wrap="nowrap" align="flex-start">
              <Face userId={done.updated_by} people={people} size={24} />
              <Text size="sm" className="grow">
                <b>{people.nameOf(done.updated_by)}</b> {done.updates ? changesOf(done.updates) : 'added it'}
              </Text>
              <Text size="xs" c="dimmed" className="when">
                {e.created_at ? when(e.created_at) : ''}
              </Text>
            </Group>
          </li>
        ))}
      </ol>
      {pages.hasNextPage && (
        <Button variant="subtle" size="compact-xs" loading={pages.isFetchingNextPage} onClick={() => void pages.fetchNextPage()}>
          Look further back
        </Button>
      )}
      <Text size="xs" c="dimmed" mt="xs">
        Changes of many items at once are told in Activity.
      </Text>
    </section>
  );
}
