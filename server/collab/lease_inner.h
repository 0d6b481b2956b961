/* lease_inner.h -- what the files of the map of all servers share: lease.c (the map), lease_user.c
 * (users), lease_peer.c (the other nodes), lease_say.c and lease_hear.c (messages).
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef COLLAB_LEASE_INNER_H
#define COLLAB_LEASE_INNER_H

#include "base/buf.h"
#include "base/map.h"
#include "collab/lease.h"

#define LEASE_UNKNOWN (-1) /* version of what was not heard yet */

/* What a node has in a project; told to all nodes. */
enum lease_there {
	LEASE_NOBODY,
	LEASE_AWAY,                        /* users, whose grace runs */
	LEASE_OCCUPIED,                    /* users with connections */
	LEASE_NTHERE,
};

struct lease_text {
	size_t n;
	char text[];
};

/* One user on one node, as that node says. */
struct lease_holder {
	struct lease_holder *next;         /* of the user */
	struct lease_peer *peer;           /* NULL: this server */
	struct lease_text *state;          /* what it looks at; NULL: nothing */
	int64_t stamp;                     /* of the state, the greatest is the newest; 0: it never had one */
	int64_t joined_at_ms;              /* the earliest that the node has heard of */
	int64_t since_ms;                  /* when the node itself saw it come */
	uint32_t connections;
	uint32_t mark;                     /* of the list that named it last (struct lease_link) */
	uint32_t name_n;
	char name[];
};

/* One user in one project, on whichever nodes.  What is shown of it depends on what its holders say
 * and on nothing else, so those who know the same holders show the same. */
struct lease_user {
	struct map_node node;              /* in lease.users, by "project\nuser" */
	struct lease_project *project;
	struct lease_user *next, **prev;   /* of the project */
	struct lease_holder *holders;      /* never none between two calls */
	uint32_t id_n;
	const char *id;                    /* in the node's key */
};

/* One project and one other node; lives while there or is_told says something. */
struct lease_link {
	struct lease_project *project;
	struct lease_peer *peer;
	struct lease_link *next;           /* of the project */
	struct lease_link *next_of_peer, **prev_of_peer;
	/* Theirs: */
	int64_t there_clock;               /* of the word that said there */
	int64_t version;                   /* we know their users as of it, or LEASE_UNKNOWN */
	int64_t part_version;              /* of the list that is coming in */
	uint32_t part_next;
	uint32_t mark;                     /* of that list, or of the directory that named it last */
	uint32_t dir_mark;
	uint32_t asked_beat;               /* when we asked for their users, in beats of theirs */
	uint8_t there;                     /* enum lease_there */
	bool is_asked;                     /* no answer yet */
	/* Ours: */
	bool is_told;                      /* they asked for ours and are told each change */
};

struct lease_project {
	struct map_node node;              /* in lease.projects, by id */
	struct lease_user *first, **last;
	struct lease_link *links;
	struct lease_waiter *waiters;
	struct lease_project *next_open, **prev_open; /* unless is_settled */
	uint64_t hash;                     /* the same on all nodes */
	uint64_t open_until_ms;
	int64_t version;                   /* of our own users; 0: none */
	uint32_t users_n;
	uint32_t own_n;                    /* users of this server */
	uint32_t own_connections;
	uint32_t watches_n;
	uint32_t occupied_n;               /* nodes, we included, that have connections in it */
	uint8_t own_there;                 /* as it was told */
	bool is_open;                      /* of interest, the others' entries are waited for: nobody is told of users */
	char id[];
};

struct lease_peer {
	struct map_node node;              /* in lease.peers, by id */
	struct lease_link *links;
	uint64_t heard_ms;
	uint64_t gone_at_ms;               /* is_gone: its entries end then */
	uint64_t told_sum;                 /* over what it is told of ours: hash and version */
	uint64_t heard_sum;                /* the same over what we know of its */
	uint64_t dir_sum;                  /* over its projects: hash and there */
	int64_t connections;
	uint32_t dir_n;
	uint32_t dir_mark;
	uint32_t dir_next;                 /* part of the directory that comes next; 0: the first */
	uint32_t beats_n;                  /* heard */
	uint32_t grace_ms;                 /* it said that it will end; its entries stay so long */
	bool is_known;                     /* its directory was heard */
	bool is_late;                      /* it was waited for in vain and has said nothing since */
	bool is_gone;
	char id[];
};

struct lease {
	lease_send_fn *send;
	void *arg;
	struct map projects;
	struct map users;
	struct map peers;
	struct lease_project *open, **open_last; /* whose deadline comes first stands first */
	struct lease_news *news, **news_last;
	struct lease_waiter *ready, **ready_last;
	int64_t clock;                     /* of own changes */
	uint64_t dir_sum;
	uint64_t beat_ms;                  /* the last one */
	uint32_t dir_n;
	uint32_t mark;
	uint32_t occupied_n;               /* projects with occupied_n > 0 */
	uint32_t connections;
	uint32_t beat_connections;         /* as told by the last beat */
	uint32_t gone_n;                   /* peers that are gone and whose entries stay for a while */
	bool is_closed;
};

/* ---- lease.c -------------------------------------------------------------------------- */

/* An entry of another node, as read from a message.  Borrowed. */
struct lease_entry {
	sio_slice id, name, state;         /* state: JSON text, empty for none */
	int64_t connections, since_ms, joined_at_ms, stamp;
	bool is_gone;
};

/* A project's record, made when there is none; NULL: no memory. */
struct lease_project *lease_project_open(struct lease *l, sio_slice id);
/* Free it if nothing needs it. */
void lease_project_relax(struct lease *l, struct lease_project *p);
static inline bool lease_is_wanted(const struct lease_project *p)
{
	return p->own_n > 0 || p->watches_n > 0;
}
void lease_project_settle(struct lease *l, struct lease_project *p);
/* One more node (by 1) or one fewer (by -1) has connections in it. */
void lease_project_occupy(struct lease *l, struct lease_project *p, int by);

/* user:joined or user:left for this server's clients, if there are any who would hear it. */
void lease_tell(struct lease *l, const struct lease_user *user, bool is_joined);

/* ---- lease_user.c --------------------------------------------------------------------- */

struct lease_user *lease_user_find(const struct lease *l, const struct lease_project *p, sio_slice id);
/* One without holders, which gets one or is relaxed: freed unless it has any.  NULL: no memory. */
struct lease_user *lease_user_new(struct lease *l, struct lease_project *p, sio_slice id);
void lease_user_relax(struct lease *l, struct lease_user *user);
/* Our own holder, made when there is none, then with what others' holders say.  NULL: no memory. */
struct lease_holder *lease_own_open(struct lease_user *user, sio_slice name, int64_t wall_ms);
void lease_holder_drop(struct lease_user *user, struct lease_holder *h);
/* The holder with the newest state. */
const struct lease_holder *lease_newest(const struct lease_user *user);
int lease_text_set(struct lease_text **at, sio_slice text); /* 0 or SIO_ERR_NOMEM; empty: none */
/* Take over what peer said of a user.  mark: of the list it stands in.  SIO_ERR_NOMEM: the
 * peer's version must not be taken for known. */
SIO_MUST_CHECK int lease_apply(struct lease *l, struct lease_project *p, struct lease_peer *peer, const struct lease_entry *e,
			       uint32_t mark);
/* Drop all that peer holds in the project, but for what bears the mark; 0: everything. */
void lease_forget(struct lease *l, struct lease_project *p, const struct lease_peer *peer, uint32_t mark);
/* Append an own user as others read it; user NULL: id is gone. */
void lease_put_own(struct buf *b, const struct lease_user *user, sio_slice id);
struct lease_holder *lease_holder(const struct lease_user *user, const struct lease_peer *peer);

static inline uint32_t lease_mark(struct lease *l) /* a new one; never 0 */
{
	l->mark += l->mark == UINT32_MAX ? 2 : 1;
	return l->mark;
}

static inline sio_slice lease_key(const struct map_node *node)
{
	return sio_bytes(node->key, node->key_n);
}

/* ---- lease_say.c -------------------------------------------------------------------------- */

/* Messages: a number that says which, then its arguments. */
enum lease_message {
	LEASE_SAY_BEAT = 1,  /* projects, sum over them, sum over what you are told, connections */
	LEASE_SAY_DIR_ASK,   /* */
	LEASE_SAY_DIR,       /* clock, part, is_last, [project, there, ..] */
	LEASE_SAY_DIR_ONE,   /* clock, project, there */
	LEASE_SAY_SUB,       /* is_all, [project, version that I know, ..]; is_all: I want no others */
	LEASE_SAY_UNSUB,     /* project */
	LEASE_SAY_STATE,     /* project, version, part, is_last, [user, ..] */
	LEASE_SAY_CHANGE,    /* project, version before, version, user */
	LEASE_SAY_SAME,      /* project, version: SUB named it */
	LEASE_SAY_CLOSING,   /* grace_ms: keep my users so long when I am gone */
	LEASE_NMESSAGES,
};

void lease_say(struct lease *l, const struct lease_peer *peer, const struct buf *b);
void lease_say_all(struct lease *l, const struct buf *b);
void lease_say_beats(struct lease *l);
void lease_say_dir_ask(struct lease *l, const struct lease_peer *peer);
void lease_say_dir(struct lease *l, const struct lease_peer *peer);
/* All users of ours in p; p NULL or without any: nobody. */
void lease_say_state(struct lease *l, const struct lease_peer *peer, sio_slice project, const struct lease_project *p);
/* LEASE_SAY_UNSUB, or LEASE_SAY_SAME, which has a version. */
void lease_say_project(struct lease *l, const struct lease_peer *peer, enum lease_message type, sio_slice project, int64_t version);
/* Ask for what the peer has in one project, or for all that we want of it. */
void lease_say_ask(struct lease *l, struct lease_link *link);
void lease_say_asks(struct lease *l, struct lease_peer *peer);
int64_t lease_sum_out(uint64_t sum); /* sums go as JSON integers */

/* ---- lease_peer.c ------------------------------------------------------------------------ */

/* Interest in a project has begun, or has ended. */
void lease_peers_want(struct lease *l, struct lease_project *p, uint64_t now_ms);
void lease_peers_unwant(struct lease *l, struct lease_project *p);
/* An own user has changed (NULL: id has gone): tell those who have asked. */
void lease_peers_change(struct lease *l, struct lease_project *p, const struct lease_user *user, sio_slice id);
/* The link of both; open makes it when there is none (NULL: no memory), relax frees one that says
 * nothing, and its project if that may go. */
struct lease_link *lease_link_find(const struct lease_project *p, const struct lease_peer *peer);
struct lease_link *lease_link_open(struct lease_project *p, struct lease_peer *peer);
void lease_link_relax(struct lease *l, struct lease_link *link);
/* What the peer has in the project; the caller relaxes the link. */
void lease_link_set_there(struct lease *l, struct lease_link *link, enum lease_there there);
void lease_link_set_version(struct lease_link *link, int64_t version);
void lease_link_unknow(struct lease *l, struct lease_link *link); /* their users are not known any more */
void lease_link_tell(struct lease_link *link, bool is_told);
static inline bool lease_link_is_open(const struct lease_link *link)
{
	return link->there != LEASE_NOBODY && link->version == LEASE_UNKNOWN;
}

void lease_settle_if_known(struct lease *l, struct lease_project *p);
void lease_settle_all_known(struct lease *l);
bool lease_is_known(const struct lease *l, const struct lease_project *p);
bool lease_peers_sane(const struct lease *l);
void lease_peers_fini(struct lease *l);

static inline struct lease_peer *lease_peer_of(const struct map_node *node)
{
	return MAP_OWNER(node, struct lease_peer, node);
}

/* peer may be dropped meanwhile. */
#define LEASE_EACH_PEER(l, peer, i)                                                                                    \
	for (struct map_node *node_ = map_first(&(l)->peers, &(i)), *next_;                                            \
	     node_ && ((next_ = map_next(&(l)->peers, &(i), node_)), (peer = lease_peer_of(node_)), true); node_ = next_)

/* ---- lease_hear.c ------------------------------------------------------------------------- */

/* A message of a peer that is there. */
void lease_take(struct lease *l, struct lease_peer *peer, sio_slice json);

/* What sums are made of: the same on all nodes, and different for each value. */
static inline uint64_t lease_mix(uint64_t hash, int64_t value)
{
	uint64_t x = hash + 0x9e3779b97f4a7c15ULL * ((uint64_t)value + 1);

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

#endif
