// provider.tsx -- where a tree of components gets its connection and its project.
//
// A provider holds a reference while it is mounted, and nothing else: rendering has no effect,
// so it may happen on a server, twice, or never come to the screen.
//
// SPDX-License-Identifier: Apache-2.0
import { createContext, type ReactNode, useContext, useEffect, useInsertionEffect, useMemo } from 'react';
import { type Client, type ClientOptions, clientOf, type GetToken } from './client.js';
import type { Presence, Project } from './project.js';

const ClientContext = createContext<Client | null>(null);
const ProjectContext = createContext<Project | null>(null);
const PresenceContext = createContext<Presence | null>(null);

export interface RealtimeProviderProps extends ClientOptions {
  /** Address of the server, `''` for the page's own. */
  url: string;
  /** Asked for each attempt to connect and for each request, so it keeps what it has until `force` is said; null: nobody is signed in. */
  getToken: GetToken;
  /** Names the user, or whatever else must not share a connection: another session, another socket. */
  session?: string;
  children?: ReactNode;
}

export function RealtimeProvider({ url, getToken, session = '', path, socketOptions, lostAfterMs, parse, onUnauthorized, children }: RealtimeProviderProps) {
  const client = useMemo(() => clientOf(url, session, path), [url, session, path]);
  // What is asked later is asked of the newest props.  Effects of children run before those of
  // their parents, and a child's opens the socket; insertion effects run before all of them.
  useInsertionEffect(() => {
    client.getToken = getToken;
    client.options = { path, socketOptions, lostAfterMs, parse, onUnauthorized };
  });
  useEffect(() => client.retain(), [client]);
  return <ClientContext.Provider value={client}>{children}</ClientContext.Provider>;
}

export interface ProjectProviderProps {
  projectId: string;
  /** What others see of oneself until `useMyPresence` says something else. */
  initialPresence?: Presence;
  /** The number of the last event that the page's lists hold already (`seq` of the project, read before them). On a return: or what was handled last, if that is greater. */
  initialSeq?: number;
  children?: ReactNode;
}

export function ProjectProvider({ projectId, initialPresence, initialSeq, children }: ProjectProviderProps) {
  const client = useClient();
  const project = useMemo(() => client.project(projectId), [client, projectId]);
  const initial = useMemo(() => initialPresence ?? null, [project]); // the initial ones count once
  useEffect(() => project.retain(initial, initialSeq), [project]);
  return (
    <ProjectContext.Provider value={project}>
      <PresenceContext.Provider value={initial}>{children}</PresenceContext.Provider>
    </ProjectContext.Provider>
  );
}

/** What presence is until effects have run. */
export function useInitialPresence(): Presence | null {
  return useContext(PresenceContext);
}

export function useClient(): Client {
  const client = useContext(ClientContext);
  if (!client) throw new Error('This hook needs a <RealtimeProvider> above it');
  return client;
}

export function useMaybeProject(): Project | null {
  return useContext(ProjectContext);
}

export function useProjectOf(): Project {
  const project = useContext(ProjectContext);
  if (!project) throw new Error('This hook needs a <ProjectProvider> above it');
  return project;
}
