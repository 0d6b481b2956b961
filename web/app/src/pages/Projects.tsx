// Projects.tsx -- the projects one is in.
import { Badge, Button, Group, Modal, Skeleton, Stack, Text, TextInput, Title } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useLocation } from 'wouter';
import { listAll, type ProjectRow } from '../lib/api';
import { useRequest } from '../lib/useRequest';
import { Bar } from '../parts/Bar';

export function Projects() {
  const request = useRequest();
  const queries = useQueryClient();
  const [, navigate] = useLocation();
  const [isAdding, setAdding] = useState(false);
  const [name, setName] = useState('');
  const [error, setError] = useState('');
  const { data, isError, refetch } = useQuery({ queryKey: ['projects'], queryFn: () => listAll<ProjectRow>(request, '/api/projects') });

  const add = async () => {
    try {
      const made = await request<ProjectRow>('POST', '/api/projects', { name: name.trim() }, { idempotencyKey: crypto.randomUUID() });
      await queries.invalidateQueries({ queryKey: ['projects'] });
      navigate(`/p/${made.project_id}/boq`);
    } catch (cause) {
      setError((cause as Error).message);
    }
  };

  return (
    <div className="shell">
      <Bar />
      <main className="page">
        <Group justify="space-between" mb="md">
          <Title order={1} size="h3">
            Projects
          </Title>
          <Button size="xs" onClick={() => setAdding(true)}>
            New project
          </Button>
        </Group>
        {isError && (
          <Group>
            <Text>The projects could not be read.</Text>
            <Button size="xs" onClick={() => void refetch()}>
              Try again
            </Button>
          </Group>
        )}
        <Stack gap="xs">
          {!data && !isError && [0, 1, 2].map((i) => <Skeleton key={i} height={64} />)}
          {data?.length === 0 && <Text c="dimmed">You are in no project yet. Make one, or ask somebody to share theirs.</Text>}
          {data?.map((p) => (
            <Link key={p.project_id} href={`/p/${p.project_id}/boq`} className="project-card">
              <Group justify="space-between" wrap="nowrap">
                <div>
                  <Text fw={600}>{p.name}</Text>
                  <Text size="sm" c="dimmed">
                    {p.description}
                  </Text>
                </div>
                <Badge variant="light" color="gray">
                  {p.role}
                </Badge>
              </Group>
            </Link>
          ))}
        </Stack>
      </main>
      <Modal opened={isAdding} onClose={() => setAdding(false)} title="New project" centered>
        <Stack>
          <TextInput data-autofocus label="Name" value={name} onChange={(e) => setName(e.currentTarget.value)} error={error || null} onKeyDown={(e) => e.key === 'Enter' && name.trim() && void add()} />
          <Button disabled={!name.trim()} onClick={() => void add()}>
            Make it
          </Button>
        </Stack>
      </Modal>
    </div>
  );
}
