// Activity.tsx -- the project's event history as sentences, going on live.
import { Button, Group, Skeleton, Text } from '@mantine/core';
import { when } from '../lib/people';
import { useTopic } from '../boq/useBoq';
import { Face } from './Face';
import { NotRead } from './NotRead';
import { sentenceOf } from './sentences';
import { useHistory } from './useHistory';
import { useWorkspace } from './workspace';

const PAGE = 100;

export function Activity() {
  const workspace = useWorkspace();
  const { people } = workspace;
  useTopic(workspace.boq, 'texts'); // what was done was done to something that has a name
  const { events, pages: history } = useHistory(PAGE);

  return (
    <section className="tab feed" aria-label="Activity" tabIndex={0}>
      {history.isPending && Array.from({ length: 8 }, (_, i) => <Skeleton key={i} height={28} m="sm" />)}
      {history.isError && !history.data && <NotRead what="The activity" onAgain={() => void history.refetch()} />}
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
