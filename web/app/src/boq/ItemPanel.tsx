// ItemPanel.tsx -- what there is to say about one item: it slides over the table, on a phone as a sheet.
import { Drawer, Tabs, Text } from '@mantine/core';
import { useOthers } from '@skybuild/realtime-react';
import { namesInShort, when } from '../lib/people';
import type { Presence } from '../lib/presence';
import { Comments } from '../parts/Comments';
import { useWorkspace } from '../parts/workspace';
import { ItemHistory } from './ItemHistory';
import { useRow } from './useBoq';

export function ItemPanel({ id, isPhone, onClose }: { id: string; isPhone: boolean; onClose(): void }) {
  const { people, boq } = useWorkspace();
  const item = useRow(boq, id)?.item;
  const here = useOthers<Presence, string[]>((others) => others.filter((o) => o.presence?.cell?.item === id).map((o) => o.name));
  if (!item) return null;
  return (
    <Drawer opened onClose={onClose} position={isPhone ? 'bottom' : 'right'} size={isPhone ? '75%' : 'md'} title={`${item.code} ${item.description}`}>
      <Text size="xs" c="dimmed" mb="sm">
        Version {item.version}, last changed by {people.nameOf(item.updated_by)} {when(item.updated_at)}
        {here.length > 0 && `. ${namesInShort(here)} ${here.length > 1 ? 'are' : 'is'} here now`}
      </Text>
      <Tabs defaultValue="comments" keepMounted={false}>
        <Tabs.List mb="sm">
          <Tabs.Tab value="comments">Comments</Tabs.Tab>
          <Tabs.Tab value="history">History</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="comments">
          <Comments target={{ item_id: id }} />
        </Tabs.Panel>
        <Tabs.Panel value="history">
          <ItemHistory id={id} />
        </Tabs.Panel>
      </Tabs>
    </Drawer>
  );
}
