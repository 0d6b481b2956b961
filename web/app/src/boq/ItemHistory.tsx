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
  by: string;
  text: string;
}

/** What an event did to the item; null: nothing, as far as it says. */
function doneTo(id: string, { type, data }: HistoryEvent): Done | null {
  const event = data as { item_id?: string; item_ids?: string[]; updated_by: string; updates?: object } | null;
  if (type === 'boq:bulk:updated' && event?.item_ids?.includes(id)) {
    const others = event.item_ids.length - 1;
    return { by: event.updated_by, text: others === 0 ? 'changed it' : `changed it together with ${others === 1 ? 'one other' : `${others} others`}` };
  }
  if ((type !== 'boq:item:updated' && type !== 'boq:item:created') || event?.item_id !== id) return null;
  return { by: event.updated_by, text: event.updates ? `changed ${changesOf(event.updates)}` : 'added it' };
}

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
              <Face userId={done.by} people={people} size={24} />
              <Text size="sm" className="grow">
                <b>{people.nameOf(done.by)}</b> {done.text}
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
    </section>
  );
}
