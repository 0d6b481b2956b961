/* routes.h -- every route of the API, in one table.
 *
 * X(method, path, who, action, handler, what it is).  who: AUTH_NONE, AUTH_USER,
 * AUTH_MEMBER or AUTH_SERVICE; action: what access/ is asked about ":project", or NO_PROJECT.  Handlers
 * live in the file of their resource, which begins their names.  docs/client.md
 * describes each (tests/server/domain.test.mjs looks).
 *
 * SPDX-License-Identifier: Apache-2.0
 * Copyright the SkyBuild Realtime authors */
#ifndef API_ROUTES_H
#define API_ROUTES_H

#include <stddef.h>

#include "api/call.h"

#define PROJECT "/api/projects/:project"

#define API_ROUTE_MAP(X)                                                                                                      \
	X("POST", "/api/auth/login", AUTH_NONE, NO_PROJECT, login_post, "a token for a name and a password")                 \
                                                                                                                              \
	X("GET", "/api/projects", AUTH_USER, NO_PROJECT, projects_list, "one's projects")                                    \
	X("POST", "/api/projects", AUTH_USER, NO_PROJECT, projects_add, "a new project")                                     \
	X("GET", PROJECT, AUTH_USER, ACCESS_PROJECT_READ, projects_get, "a project")                                         \
	X("PATCH", PROJECT, AUTH_USER, ACCESS_PROJECT_CHANGE, projects_patch, "another name or description")                 \
	X("DELETE", PROJECT, AUTH_USER, ACCESS_PROJECT_DELETE, projects_delete, "a project and all that is in it")           \
	X("GET", PROJECT "/events", AUTH_USER, ACCESS_EVENT_READ, events_list, "its durable events, in order")               \
                                                                                                                              \
	X("GET", PROJECT "/collaborators", AUTH_USER, ACCESS_COLLABORATOR_READ, collaborators_list, "who works in it")       \
	X("GET", PROJECT "/collaborators/:user", AUTH_USER, ACCESS_COLLABORATOR_READ, collaborators_get, "one of them")      \
	X("PUT", PROJECT "/collaborators/:user", AUTH_USER, ACCESS_COLLABORATOR_CHANGE, collaborators_put, "a role")         \
	/* Every member may come in here: one may always take oneself out. */                                                \
	X("DELETE", PROJECT "/collaborators/:user", AUTH_MEMBER, ACCESS_COLLABORATOR_READ, collaborators_delete, "one less") \
                                                                                                                              \
	X("GET", PROJECT "/boq", AUTH_USER, ACCESS_BOQ_READ, boq_list, "the bill of quantities")                             \
	X("POST", PROJECT "/boq", AUTH_USER, ACCESS_BOQ_WRITE, boq_create, "a new item")                                     \
	X("POST", PROJECT "/boq/bulk", AUTH_USER, ACCESS_BOQ_WRITE, boq_bulk, "many changes at once")                        \
	X("GET", PROJECT "/boq/:item", AUTH_USER, ACCESS_BOQ_READ, boq_get, "an item")                                       \
	X("PATCH", PROJECT "/boq/:item", AUTH_USER, ACCESS_BOQ_WRITE, boq_patch, "a change of an item")                      \
	X("DELETE", PROJECT "/boq/:item", AUTH_USER, ACCESS_BOQ_WRITE, boq_delete, "an item less")                           \
                                                                                                                              \
	X("GET", PROJECT "/tasks", AUTH_USER, ACCESS_TASK_READ, tasks_list, "the tasks")                                     \
	X("POST", PROJECT "/tasks", AUTH_USER, ACCESS_TASK_WRITE, tasks_add, "a new task")                                   \
	X("GET", PROJECT "/tasks/:task", AUTH_USER, ACCESS_TASK_READ, tasks_get, "a task")                                   \
	X("PATCH", PROJECT "/tasks/:task", AUTH_USER, ACCESS_TASK_WRITE, tasks_patch, "a change of a task")                  \
	X("DELETE", PROJECT "/tasks/:task", AUTH_USER, ACCESS_TASK_WRITE, tasks_delete, "a task less")                       \
                                                                                                                              \
	X("GET", PROJECT "/comments", AUTH_USER, ACCESS_COMMENT_READ, comments_list, "comments: all, or of one target")      \
	X("POST", PROJECT "/comments", AUTH_USER, ACCESS_COMMENT_WRITE, comments_add, "a new comment")                       \
	X("GET", PROJECT "/comments/:comment", AUTH_USER, ACCESS_COMMENT_READ, comments_get, "a comment")                    \
	/* One's own; the handler lets editors delete those of others. */                                                    \
	X("DELETE", PROJECT "/comments/:comment", AUTH_MEMBER, ACCESS_COMMENT_DELETE_OWN, comments_delete, "a comment less") \
                                                                                                                              \
	X("GET", "/api/notifications", AUTH_USER, NO_PROJECT, notifications_list, "one's notifications")                     \
	X("POST", "/api/notifications/read-all", AUTH_USER, NO_PROJECT, notifications_read_all, "all of them are read")      \
	X("POST", "/api/notifications/:id/read", AUTH_USER, NO_PROJECT, notifications_read, "one of them is read")           \
                                                                                                                              \
	X("POST", "/api/broadcast/boq-update", AUTH_SERVICE, NO_PROJECT, broadcast_boq_update, "boq:item:updated")           \
	X("POST", "/api/broadcast/boq-bulk-update", AUTH_SERVICE, NO_PROJECT, broadcast_boq_bulk_update, "boq:bulk:updated") \
	X("POST", "/api/broadcast/task-update", AUTH_SERVICE, NO_PROJECT, broadcast_task_update, "task:updated")             \
	X("POST", "/api/broadcast/comment", AUTH_SERVICE, NO_PROJECT, broadcast_comment, "comment:created")                  \
	X("POST", "/api/broadcast/notify", AUTH_SERVICE, NO_PROJECT, broadcast_notify, "notification:new")                   \
	X("POST", "/api/broadcast/emit", AUTH_SERVICE, NO_PROJECT, broadcast_emit, "any event to any room")                  \
	X("GET", PROJECT "/presence", AUTH_SERVICE, NO_PROJECT, presence_of_project, "who is in a project now")              \
	X("GET", "/api/users/:user/connections", AUTH_SERVICE, NO_PROJECT, presence_of_user, "a user's connections")         \
	X("POST", "/api/users/:user/disconnect", AUTH_SERVICE, NO_PROJECT, presence_disconnect, "a user is put out")         \
                                                                                                                              \
	X("POST", "/api/traces", AUTH_SERVICE, NO_PROJECT, trace_begin, "a trace: packets of chosen sockets, as they pass")    \
	X("GET", "/api/traces/:id", AUTH_SERVICE, NO_PROJECT, trace_read, "what has passed since")                           \
	X("DELETE", "/api/traces/:id", AUTH_SERVICE, NO_PROJECT, trace_end, "the trace is over")                             \
                                                                                                                              \
	X("GET", "/ws/status", AUTH_NONE, NO_PROJECT, status_get, "the guide's five figures")                                \
	X("GET", "/healthz", AUTH_NONE, NO_PROJECT, status_healthz, "does the process live?")                                \
	X("GET", "/readyz", AUTH_NONE, NO_PROJECT, status_readyz, "should it be sent requests?")                             \
	X("GET", "/metrics", AUTH_NONE, NO_PROJECT, measure, "counters for Prometheus")

extern const struct route api_routes[];
extern const size_t api_routes_n;

#define X(method, path, who, action, handler, what) void handler(struct call *call);
API_ROUTE_MAP(X)
#undef X

#endif
